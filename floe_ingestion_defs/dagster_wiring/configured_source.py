"""`ConfiguredSource`: all that the wiring knows about a source when the location loads."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from floe_ingestion_defs.dagster_wiring.settings.orchestration import (
    OrchestrationSettings,
    read_settings,
)
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, IngestionSourceConfig, ResourceSpec

SOURCE_TAG = "floe/source"
CAUSE_TAG = "floe/cause"

CodeReference = dg.LocalFileCodeReference | dg.UrlCodeReference


@dataclass(frozen=True)
class ConfiguredSource:
    """One source and the plugin that loads it, as described by the configuration.

    Attributes:
        plugin: The plugin that loads the source.
        source: The source, as configured.
        resources: Specification of each resource, from the configuration alone, by name.
        settings: The source's validated `orchestration:` block.
        code_references: The files that define the source, such as its YAML.
    """

    plugin: DltIngestionPlugin
    source: IngestionSourceConfig
    resources: Mapping[str, ResourceSpec]
    settings: OrchestrationSettings
    code_references: tuple[CodeReference, ...] = ()

    @classmethod
    def read(
        cls,
        plugin: DltIngestionPlugin,
        source: IngestionSourceConfig,
        code_references: tuple[CodeReference, ...] = (),
    ) -> "ConfiguredSource":
        """Read a source's configuration; no network, database, catalog or folder is accessed.

        Args:
            plugin: The plugin that loads the source.
            source: The source, as configured.
            code_references: The files that define the source.

        Raises:
            PipelineConfigurationError: The source's Dagster settings are not valid.
        """
        resources = plugin.list_resources(source)
        settings = read_settings(source, resources)
        by_name = {spec.name: spec for spec in resources}
        return cls(plugin, source, by_name, settings, code_references)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def load_op_name(self) -> str:
        """The name of the op that loads the source."""
        return f"load_{self.name}"

    @property
    def loader(self) -> DltIngestionPlugin:
        """The plugin as Dagster runs it: without retries if Dagster retries the step."""
        if self.settings.retries is None:
            return self.plugin
        once = self.plugin.config.retry_config.model_copy(update={"max_retries": 0})
        return type(self.plugin)(self.plugin.config.model_copy(update={"retry_config": once}))
