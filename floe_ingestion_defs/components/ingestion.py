"""`IngestionComponent`: sources in a `defs.yaml`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs
from dagster_shared.serdes.objects.models.defs_state_info import DefsStateManagementType
from dagster_shared.yaml_utils.source_position import SourcePosition, SourcePositionTree
from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.components.scaffolder import IngestionScaffolder
from floe_ingestion_defs.components.schema import IngestionAttributes
from floe_ingestion_defs.components.table_snapshot import TableSnapshot
from floe_ingestion_defs.components.templates import render_templates
from floe_ingestion_defs.dagster_wiring.beta_warnings import allow_beta
from floe_ingestion_defs.dagster_wiring.configured_source import CodeReference
from floe_ingestion_defs.dagster_wiring.location import build_ingestion_definitions
from floe_ingestion_defs.dagster_wiring.observed_tables import (
    ObservedTable,
    create_observed_definitions,
)
from floe_ingestion_defs.dagster_wiring.python_code import check_code
from floe_ingestion_defs.dagster_wiring.settings.maintenance import MaintenanceSettings
from floe_ingestion_defs.dagster_wiring.settings.orchestration import read_settings
from floe_ingestion_defs.dagster_wiring.settings.types import Settings
from floe_ingestion_defs.dagster_wiring.translator import FloeDltTranslator
from floe_ingestion_defs.dlt_plugin import DltIngestionConfig, DltIngestionPlugin, has_patterns
from floe_ingestion_defs.dlt_plugin.config.messages import explain
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

KeyPath = tuple[str | int, ...]

_STATE_FOLDER = ".local_defs_state"


class _FileSettings(Settings):
    """What a file contains besides the configuration of the plugin."""

    observed_tables: tuple[ObservedTable, ...]
    maintenance: MaintenanceSettings | None


@dg.scaffold_with(IngestionScaffolder)
@dataclass
class IngestionComponent(dg.StateBackedComponent):
    """Load sources into Iceberg tables with dlt, one asset for each of their resources.

    Subclass it and set `translator_class` to change how the assets look. Its state is a list of the
    tables of databases, and exists only if a source has patterns in `table_names`.
    """

    config: DltIngestionConfig = field(default_factory=DltIngestionConfig)
    observed_tables: tuple[ObservedTable, ...] = ()
    code_references: dict[str, list[CodeReference]] = field(default_factory=dict)
    defs_state: DefsStateConfigArgs = field(default_factory=DefsStateConfigArgs.local_filesystem)

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
        own = {
            "observed_tables": rendered.pop("observed_tables", []),
            "maintenance": rendered.pop("maintenance", None),
        }
        state = {"management_type": DefsStateManagementType.LOCAL_FILESYSTEM}
        state |= rendered.pop("defs_state", {})
        try:
            config = DltIngestionConfig.model_validate(rendered)
            tables = _FileSettings.model_validate(own).observed_tables
            defs_state = DefsStateConfigArgs.model_validate(state)
        except ValidationError as error:
            raise _locate(error, tree) from None
        config = _maintained(config, own["maintenance"])
        _validate_settings(config, tree)
        _validate_code(config, tree)
        references = {
            source.name: [_reference(tree, ("attributes", "sources", index))]
            for index, source in enumerate(config.sources)
            if tree is not None
        }
        component = cls(config, tables, references, defs_state)
        if component.needs_tables:
            context.component_tree.mark_component_defs_state_key(
                defs_state_key=component.defs_state_config.key, loc=context.component_loc
            )
        return component

    @classmethod
    def get_code_references_for_yaml(
        cls, yaml_path: Path, source_position: SourcePosition, context: dg.ComponentLoadContext
    ) -> Sequence[CodeReference]:
        """Return none: every asset already refers to the line of its own source."""
        return []

    @property
    def needs_tables(self) -> bool:
        """Whether a source has patterns, which need a list of the tables of its database."""
        return any(map(has_patterns, self.config.sources))

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Where the list of tables is stored; without patterns, Dagster has nothing to refresh."""
        names = ",".join(source.name for source in self.config.sources if has_patterns(source))
        defs_state = self.defs_state
        if not self.needs_tables:
            defs_state = DefsStateConfigArgs.legacy_code_server_snapshots()
        return DefsStateConfig.from_args(defs_state, default_key=f"{type(self).__name__}[{names}]")

    def write_state_to_path(self, state_path: Path) -> None:
        """List the tables of each database that patterns are used for.

        Raises:
            PipelineConfigurationError: A pattern matches no table, or a table needs a name.
            IngestionError: A database cannot be reached.
        """
        snapshot = TableSnapshot.take(DltIngestionPlugin(self.config))
        snapshot.expand(self.config)
        state_path.write_text(snapshot.model_dump_json(by_alias=True, indent=2))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions of the sources and of the observed tables."""
        if not self.needs_tables:
            return self._build(self.config)
        try:
            return super().build_defs(context)
        except OSError as error:
            # Dagster creates the folder of the state to look into it, which an image may not allow.
            if _STATE_FOLDER not in str(error.filename):
                raise
            return self.build_defs_from_state(context, None)

    def build_defs_from_state(
        self, context: dg.ComponentLoadContext, state_path: Path | None
    ) -> dg.Definitions:
        """Build the same for the tables that the patterns matched when they were listed.

        Raises:
            PipelineConfigurationError: The tables have not been listed; says how to.
        """
        snapshot = TableSnapshot.read(state_path)
        return self._build(snapshot.expand(self.config))

    def _build(self, config: DltIngestionConfig) -> dg.Definitions:
        plugin = DltIngestionPlugin(config)
        loaded = build_ingestion_definitions(
            plugin, translator_class=self.translator_class, code_references=self.code_references
        )
        return dg.Definitions.merge(
            loaded, create_observed_definitions(plugin, self.observed_tables)
        )


def _maintained(config: DltIngestionConfig, block: Any) -> DltIngestionConfig:
    """Return a configuration whose sources have a block `maintenance`, their own or the file's."""
    if block is None:
        return config
    sources = [
        source.model_copy(update={"orchestration": {"maintenance": block, **source.orchestration}})
        for source in config.sources
    ]
    return config.model_copy(update={"sources": tuple(sources)})


def _validate_settings(config: DltIngestionConfig, tree: SourcePositionTree | None) -> None:
    for index, source in enumerate(config.sources):
        if has_patterns(source):
            continue
        try:
            read_settings(source, source.specs)
        except PipelineConfigurationError as error:
            path: KeyPath = ("attributes", "sources", index, "orchestration")
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                path = (*path, *cause.errors()[0]["loc"][1:])
            msg = f"{_position(tree, path)}{error.message}"
            raise PipelineConfigurationError(msg, source_name=source.name) from cause


def _validate_code(config: DltIngestionConfig, tree: SourcePositionTree | None) -> None:
    for index, source in enumerate(config.sources):
        try:
            check_code(source)
        except PipelineConfigurationError as error:
            field = "resource_names" if "resource_names" in error.message else "factory"
            path: KeyPath = ("attributes", "sources", index, "source_config", field)
            msg = f"{_position(tree, path)}{error.message}"
            raise PipelineConfigurationError(msg) from error


def _locate(error: ValidationError, tree: SourcePositionTree | None) -> PipelineConfigurationError:
    """Return the errors of a validation, each prefixed with its file and line."""
    models = {model.__name__: model for model in (_FileSettings, DefsStateConfigArgs)}
    model = models.get(error.title, DltIngestionConfig)
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
