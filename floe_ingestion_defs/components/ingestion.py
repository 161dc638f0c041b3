"""`IngestionComponent`: sources in a `defs.yaml`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from dagster_shared.yaml_utils.source_position import SourcePosition, SourcePositionTree
from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.components.scaffolder import IngestionScaffolder
from floe_ingestion_defs.components.schema import IngestionAttributes
from floe_ingestion_defs.components.templates import render_templates
from floe_ingestion_defs.dagster_wiring.beta_warnings import allow_beta
from floe_ingestion_defs.dagster_wiring.configured_source import CodeReference
from floe_ingestion_defs.dagster_wiring.location import build_ingestion_definitions
from floe_ingestion_defs.dagster_wiring.observed_tables import (
    ObservedTable,
    create_observed_definitions,
)
from floe_ingestion_defs.dagster_wiring.settings.orchestration import read_settings
from floe_ingestion_defs.dagster_wiring.settings.types import Settings
from floe_ingestion_defs.dagster_wiring.translator import FloeDltTranslator
from floe_ingestion_defs.dlt_plugin import DltIngestionConfig, DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.config.messages import explain
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

KeyPath = tuple[str | int, ...]


class _Observed(Settings):
    observed_tables: tuple[ObservedTable, ...]


@dg.scaffold_with(IngestionScaffolder)
@dataclass
class IngestionComponent(dg.Component):
    """Load sources into Iceberg tables with dlt, one asset for each of their resources.

    Subclass it and set `translator_class` to change how the assets look.
    """

    config: DltIngestionConfig = field(default_factory=DltIngestionConfig)
    observed_tables: tuple[ObservedTable, ...] = ()
    code_references: dict[str, list[CodeReference]] = field(default_factory=dict)

    translator_class = FloeDltTranslator

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Return the model of the attributes in YAML."""
        return IngestionAttributes

    @classmethod
    def load(
        cls, attributes: BaseModel | None, context: dg.ComponentLoadContext
    ) -> "IngestionComponent":
        """Create the component of a `defs.yaml`.

        Args:
            attributes: The content of `attributes:`.
            context: Position in the file, and the variables of its templates.

        Raises:
            PipelineConfigurationError: The file is not valid; names file, line, source, field,
                value and the fix.
        """
        given = attributes.model_dump(exclude_unset=True) if attributes else {}
        resolution = context.resolution_context.at_path("attributes")
        tree = resolution.source_position_tree
        rendered = render_templates(given, resolution)
        observed = {"observed_tables": rendered.pop("observed_tables", [])}
        try:
            config = DltIngestionConfig.model_validate(rendered)
            tables = _Observed.model_validate(observed).observed_tables
        except ValidationError as error:
            raise _locate(error, tree) from None
        _validate_settings(config, tree)
        references = {
            source.name: [_reference(tree, ("attributes", "sources", index))]
            for index, source in enumerate(config.sources)
            if tree is not None
        }
        return cls(config=config, observed_tables=tables, code_references=references)

    @classmethod
    def get_code_references_for_yaml(
        cls, yaml_path: Path, source_position: SourcePosition, context: dg.ComponentLoadContext
    ) -> Sequence[CodeReference]:
        """Return none: every asset already refers to the line of its own source."""
        return []

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions of the sources and of the observed tables."""
        plugin = DltIngestionPlugin(self.config)
        loaded = build_ingestion_definitions(
            plugin, translator_class=self.translator_class, code_references=self.code_references
        )
        return dg.Definitions.merge(
            loaded, create_observed_definitions(plugin, self.observed_tables)
        )


def _validate_settings(config: DltIngestionConfig, tree: SourcePositionTree | None) -> None:
    for index, source in enumerate(config.sources):
        try:
            read_settings(source, source.specs)
        except PipelineConfigurationError as error:
            path: KeyPath = ("attributes", "sources", index, "orchestration")
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                path = (*path, *cause.errors()[0]["loc"][1:])
            msg = f"{_position(tree, path)}{error.message}"
            raise PipelineConfigurationError(msg, source_name=source.name) from cause


def _locate(error: ValidationError, tree: SourcePositionTree | None) -> PipelineConfigurationError:
    """Return the errors of a validation, each prefixed with its file and line."""
    model = _Observed if error.title == _Observed.__name__ else DltIngestionConfig
    sentences = explain(error, model).split("\n")
    located = [
        f"{_position(tree, ('attributes', *found['loc']))}{sentence}"
        for sentence, found in zip(sentences, error.errors(), strict=True)
    ]
    return PipelineConfigurationError("\n".join(located))


def _position(tree: SourcePositionTree | None, path: KeyPath) -> str:
    if tree is None:
        return ""
    position, _ = tree.lookup_closest_and_path(path, None)
    return f"{position}: "


@allow_beta("LocalFileCodeReference")
def _reference(tree: SourcePositionTree, path: KeyPath) -> CodeReference:
    position, _ = tree.lookup_closest_and_path(path, None)
    return dg.LocalFileCodeReference(file_path=position.filename, line_number=position.start.line)
