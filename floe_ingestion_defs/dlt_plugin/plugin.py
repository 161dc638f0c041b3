"""`DltIngestionPlugin`: what a platform, an orchestrator or a script calls.

Each method is short; what it does lies in the module that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.contracts import (
    HealthStatus,
    IngestionConfig,
    IngestionPlugin,
    IngestionResult,
)
from floe_ingestion_defs.dlt_plugin.config import DltIngestionConfig, IngestionSourceConfig
from floe_ingestion_defs.dlt_plugin.config_errors import explain
from floe_ingestion_defs.dlt_plugin.errors import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline
from floe_ingestion_defs.dlt_plugin.resources import ResourceSpec, resource_specs
from floe_ingestion_defs.dlt_plugin.results import LoadResult

if TYPE_CHECKING:
    from dlt.extract import DltSource

_DISTRIBUTION = "floe-ingestion-defs"


class DltIngestionPlugin(IngestionPlugin):
    """Loads sources into Iceberg tables with dlt.

    Args:
        config: Sources, catalog and retries; a mapping is validated. Without one, every
            configuration comes with `create_pipeline` and the catalog from the environment.

    Raises:
        PipelineConfigurationError: The configuration is wrong; says where, and what is right.

    Example:
        >>> plugin = DltIngestionPlugin()
        >>> plugin.startup()
        >>> pipeline = plugin.create_pipeline(
        ...     IngestionConfig(
        ...         source_type="filesystem",
        ...         source_config={"bucket_url": "landing", "file_glob": "*.csv", "format": "csv"},
        ...         destination_table="bronze.flights",
        ...     )
        ... )
        >>> plugin.run(pipeline).rows_loaded
        336776
    """

    def __init__(self, config: DltIngestionConfig | Mapping[str, Any] | None = None) -> None:
        self._config = _validated(config)

    @property
    def name(self) -> str:
        """Name of the plugin's entry point."""
        return "dlt"

    @property
    def version(self) -> str:
        """Version of the distribution."""
        try:
            return version(_DISTRIBUTION)
        except PackageNotFoundError:
            return "0.0.0"

    @property
    def floe_api_version(self) -> str:
        """Version of the contract that the plugin was written for."""
        return "1.0"

    @property
    def description(self) -> str:
        """What the plugin does."""
        return "Loads files, databases, APIs and Python sources into Iceberg tables with dlt."

    @property
    def is_external(self) -> bool:
        """False: the load runs in this process."""
        return False

    @property
    def config(self) -> DltIngestionConfig:
        """The configuration, validated."""
        return self._config

    def get_config_schema(self) -> type[BaseModel]:
        """Return the model of the configuration."""
        return DltIngestionConfig

    def configure(self, config: DltIngestionConfig | Mapping[str, Any] | None) -> None:
        """Take over a configuration.

        Raises:
            PipelineConfigurationError: The configuration is wrong.
        """
        self._config = _validated(config)

    def source(self, name: str) -> IngestionSourceConfig:
        """Return a configured source.

        Raises:
            PipelineConfigurationError: There is none of this name; names those there are.
        """
        for source in self._config.sources:
            if source.name == name:
                return source
        known = ", ".join(source.name for source in self._config.sources) or "none"
        msg = f"there is no source {name!r}; configured are: {known}"
        raise PipelineConfigurationError(msg, source_name=name)

    def list_resources(self, source: IngestionSourceConfig) -> tuple[ResourceSpec, ...]:
        """List a source's resources from its configuration alone.

        No network is used, no file read and no driver imported.
        """
        return resource_specs(source)

    def declare_source(self, source: IngestionSourceConfig) -> DltSource:
        """Make a dlt source with the right resources and hints and without data.

        For orchestrators that need a source when they define their assets.
        """
        from floe_ingestion_defs.dlt_plugin.hints import assemble_source, declare_resources

        return assemble_source(source, declare_resources(resource_specs(source)))

    def create_pipeline(
        self,
        config: IngestionConfig | IngestionSourceConfig,
        *,
        resources: Sequence[str] | None = None,
    ) -> IngestionPipeline:
        """Make a pipeline together with its source.

        Args:
            config: One source; what `IngestionConfig` has no field for stands in its
                `source_config`.
            resources: Names of the resources to load; all of them by default.

        Raises:
            PipelineConfigurationError: The configuration is wrong, or a `${NAME}` is not set.
            SourceConnectionError: The source cannot be reached.
        """
        raise NotImplementedError

    def run(self, pipeline: IngestionPipeline, **kwargs: Any) -> IngestionResult:
        """Load what the source has to give; a load that fails ends in a result that says so.

        Args:
            pipeline: What `create_pipeline` made.
            **kwargs: Passed on to `load`.
        """
        raise NotImplementedError

    def load(self, pipeline: IngestionPipeline, **kwargs: Any) -> LoadResult:
        """Load what the source has to give.

        Args:
            pipeline: What `create_pipeline` made.
            **kwargs: Passed on to dlt's `pipeline.run`, such as `refresh`.

        Raises:
            IngestionError: The load failed; nothing of it is visible.
        """
        raise NotImplementedError

    def get_destination_config(self, catalog_config: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the destination that opens the catalog."""
        raise NotImplementedError

    def health_check(self, timeout: float | None = None) -> HealthStatus:
        """Say whether the plugin can load: whether it was started and the catalog answers."""
        raise NotImplementedError


def _validated(config: DltIngestionConfig | Mapping[str, Any] | None) -> DltIngestionConfig:
    if isinstance(config, DltIngestionConfig):
        return config
    try:
        return DltIngestionConfig.model_validate(dict(config or {}))
    except ValidationError as wrong:
        text = explain(wrong, DltIngestionConfig)
    # Raised out here: the original would be kept as the context, with the whole input in it.
    raise PipelineConfigurationError(text)
