"""`DltIngestionPlugin`: the interface for platforms, orchestrators and scripts.

Each method is short and calls the module that implements it.
"""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from floe_ingestion_defs.contracts import (
    HealthStatus,
    IngestionConfig,
    IngestionPlugin,
    IngestionResult,
)
from floe_ingestion_defs.contracts.metadata import checked_health_timeout
from floe_ingestion_defs.dlt_plugin.capabilities import Capabilities
from floe_ingestion_defs.dlt_plugin.config.destination import destination_config, environment_of
from floe_ingestion_defs.dlt_plugin.config.extras import check_extras
from floe_ingestion_defs.dlt_plugin.config.messages import explain
from floe_ingestion_defs.dlt_plugin.config.models import (
    DltIngestionConfig,
    IngestionSourceConfig,
)
from floe_ingestion_defs.dlt_plugin.config.table_patterns import (
    DatabaseTables,
    expand_tables,
    has_patterns,
    require_named_tables,
)
from floe_ingestion_defs.dlt_plugin.errors.categories import categorize_error
from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    IngestionError,
    PipelineConfigurationError,
    ResourceLoadsFailed,
)
from floe_ingestion_defs.dlt_plugin.errors.redaction import redactor_for
from floe_ingestion_defs.dlt_plugin.health import check_health
from floe_ingestion_defs.dlt_plugin.load_request import WHOLE, LoadRequest
from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline
from floe_ingestion_defs.dlt_plugin.preparation import (
    as_source_config,
    choose_resources,
    list_database_tables,
    reach_source,
    resolve_source,
)
from floe_ingestion_defs.dlt_plugin.results import LoadResult
from floe_ingestion_defs.dlt_plugin.telemetry.logs import configure_logs
from floe_ingestion_defs.dlt_plugin.telemetry.tracing import traced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dlt.extract import DltSource

    from floe_ingestion_defs.destinations import Audit
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.errors.redaction import Redactor
    from floe_ingestion_defs.dlt_plugin.isolation import LoadOutcome

_DISTRIBUTION = "floe-ingestion-defs"


class DltIngestionPlugin(IngestionPlugin):
    """Loads sources into Iceberg tables with dlt.

    Args:
        config: Sources, catalog and retries; a mapping is validated. Without one, each source is
            passed to `create_pipeline` and the catalog is that of the environment.

    Raises:
        PipelineConfigurationError: The configuration is not valid; says where, and how to fix it.
            Or the environment requests an unknown log format.

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
        configure_logs()
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
        """Version of the contract that the plugin implements."""
        return "1.0"

    @property
    def description(self) -> str:
        """Description of the plugin."""
        return "Loads files, databases, APIs and Python sources into Iceberg tables with dlt."

    @property
    def is_external(self) -> bool:
        """False: the load runs in this process."""
        return False

    @property
    def config(self) -> DltIngestionConfig:
        """The validated configuration."""
        return self._config

    def get_config_schema(self) -> type[BaseModel]:
        """Return the model of the configuration."""
        return DltIngestionConfig

    def configure(self, config: DltIngestionConfig | Mapping[str, Any] | None) -> None:
        """Replace the configuration.

        Raises:
            PipelineConfigurationError: The configuration is not valid.
        """
        self._config = _validated(config)

    @property
    def capabilities(self) -> Capabilities:
        """The supported source types, write modes, merge strategies and schema contracts."""
        return Capabilities()

    def startup(self) -> None:
        """Prepare the plugin for use.

        Raises:
            ImportError: A source requires a package that is not installed; says how to install it.
        """
        check_extras(self._config.sources)
        super().startup()

    def source(self, name: str) -> IngestionSourceConfig:
        """Return a configured source.

        Raises:
            PipelineConfigurationError: There is no source of this name; lists the existing ones.
        """
        for source in self._config.sources:
            if source.name == name:
                return source
        known = ", ".join(source.name for source in self._config.sources) or "none"
        msg = f"source {name!r} not found; configured sources: {known}"
        raise PipelineConfigurationError(msg, source_name=name)

    def list_resources(self, source: IngestionSourceConfig) -> tuple[ResourceSpec, ...]:
        """Return a source's resources, from its configuration alone.

        No network is used, no file is read and no driver is imported.

        Raises:
            PipelineConfigurationError: The tables of a database are not known, because
                `table_names` has patterns; see `list_tables`.
        """
        require_named_tables(source)
        return source.specs

    def list_tables(self, source: IngestionSourceConfig) -> DatabaseTables:
        """Connect to the database of a source, and return its tables.

        With this list, `expand_tables` replaces the patterns of `table_names`. `create_pipeline`
        does both for a source that still has patterns.

        Raises:
            PipelineConfigurationError: The source is not a database, or a `${NAME}` is not set.
            IngestionError: The database cannot be reached, or rejects the query.
        """
        return list_database_tables(source, self._redactor(source))

    def declare_source(self, source: IngestionSourceConfig) -> DltSource:
        """Return a dlt source with its resources and hints, but without data.

        For orchestrators that require a source when they define their assets.
        """
        from floe_ingestion_defs.dlt_plugin.hints import assemble_source, declare_resources

        return assemble_source(source, declare_resources(source.specs))

    def create_pipeline(
        self,
        config: IngestionConfig | IngestionSourceConfig,
        *,
        resources: Sequence[str] | None = None,
        audits: Sequence[Audit] = (),
        request: LoadRequest = WHOLE,
    ) -> IngestionPipeline:
        """Connect to a source, and return the description of its load.

        Args:
            config: One source; settings for which `IngestionConfig` has no field are part of its
                `source_config`.
            resources: Names of the resources to load; all of them by default.
            audits: Conditions that the staged rows must meet before they are published; each is
                called with a staged table and yields findings, and any finding fails the load.
            request: A refresh, a window of the cursor to reload without moving the stored cursor,
                or a limit.

        Raises:
            PipelineConfigurationError: The configuration is not valid, a `${NAME}` is not set, or
                the resources do not support the request.
            SourceConnectionError: The source cannot be reached.
        """
        source = as_source_config(config)
        redactor = self._redactor(source)
        attributes = {
            "ingestion.source_name": source.name,
            "ingestion.source_type": source.source_type,
            "ingestion.destination_table": source.destination_table,
            "ingestion.write_mode": source.write_mode,
        }
        with traced("ingestion.create_pipeline", attributes, redactor):
            if has_patterns(source):
                source = expand_tables(source, self.list_tables(source))
            resolved, options = resolve_source(source)
            specs = choose_resources(resolved, resources)
            request.check(specs)
            destination = self.get_destination_config(self._config.catalog_config)
            destination["branch_tables"] = self._config.branch_tables
            destination["rewrite_executor"] = self._config.rewrite_executor
            if not request.replay_quarantined:
                reach_source(resolved, options, redactor)
        return IngestionPipeline(
            source, resolved, options, specs, request, audits, destination, redactor
        )

    def _redactor(self, source: IngestionSourceConfig) -> Redactor:
        catalog = self._config.catalog_config
        return redactor_for(
            source.source_config, source.credentials, catalog, environment_of(catalog)
        )

    def run(self, pipeline: IngestionPipeline, **kwargs: Any) -> IngestionResult:
        """Load the source; a failed load returns a result with its errors.

        Args:
            pipeline: The pipeline that `create_pipeline` returned.
            **kwargs: Arguments of `load`.
        """
        started = time.monotonic()
        try:
            return self.load(pipeline, **kwargs)
        except ResourceLoadsFailed as error:
            return error.result
        except IngestionError as error:
            category = categorize_error(error)
            return LoadResult(
                success=False,
                duration_seconds=time.monotonic() - started,
                errors=[f"{category.value} {type(error).__name__}: {error}"],
            )

    def load(self, pipeline: IngestionPipeline, **kwargs: Any) -> LoadResult:
        """Load the source.

        Args:
            pipeline: The pipeline that `create_pipeline` returned.
            **kwargs: Fields of `LoadRequest` that replace those of the pipeline's request.

        Raises:
            ResourceLoadsFailed: Resources of an isolated source were not loaded; has the result
                of the others.
            IngestionError: The load failed; no data was published.
        """
        from floe_ingestion_defs.dlt_plugin import isolation

        return isolation.load(pipeline.requesting(**kwargs), self._config.retry_config)

    def replay_quarantined(
        self,
        config: IngestionConfig | IngestionSourceConfig,
        *,
        resources: Sequence[str] | None = None,
        audits: Sequence[Audit] = (),
    ) -> LoadResult:
        """Load the rows of `{table}__rejected` that fit now; the source is not read.

        They are loaded into their table and removed from the table of rejected rows by one load.
        Rows that still do not fit remain there, and are counted as rejected.

        Args:
            config: The source.
            resources: Names of the resources whose rows are replayed; all of them by default.
            audits: As in `create_pipeline`.

        Raises:
            PipelineConfigurationError: A resource cannot be replayed: it is loaded with write_mode
                replace, merge_strategy scd2, a merge_key or a hard_delete column.
            IngestionError: The replay failed; no data was published.
        """
        request = LoadRequest(replay_quarantined=True)
        pipeline = self.create_pipeline(config, resources=resources, audits=audits, request=request)
        return self.load(pipeline)

    def load_each(self, pipeline: IngestionPipeline) -> Iterator[LoadOutcome]:
        """Yield the outcome of each load as it ends: one, or one per resource if isolated.

        Args:
            pipeline: The pipeline that `create_pipeline` returned.
        """
        from floe_ingestion_defs.dlt_plugin import isolation

        return isolation.load_each(pipeline, self._config.retry_config)

    def get_destination_config(self, catalog_config: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments with which `iceberg(**…)` opens the catalog.

        Args:
            catalog_config: pyiceberg catalog properties, which override those of the environment;
                `${NAME}` is resolved, and names such as `s3_endpoint` become `s3.endpoint`.

        Raises:
            PipelineConfigurationError: A `${NAME}` is not set.
        """
        with traced("ingestion.get_destination_config"):
            return destination_config(catalog_config)

    def health_check(self, timeout: float | None = None) -> HealthStatus:
        """Return whether the plugin can load: it is started, and catalog and storage respond.

        Args:
            timeout: Seconds within which the catalog must respond; one by default.

        Raises:
            ValueError: The timeout is not between 0.1 and 10 seconds.
        """
        seconds = checked_health_timeout(timeout)
        return check_health(self._config, self._started, seconds)


def _validated(config: DltIngestionConfig | Mapping[str, Any] | None) -> DltIngestionConfig:
    if isinstance(config, DltIngestionConfig):
        return config
    try:
        return DltIngestionConfig.model_validate(dict(config or {}))
    except ValidationError as wrong:
        text = explain(wrong, DltIngestionConfig)
    # Raised outside the handler, so that the original, which has the whole input, is not attached.
    raise PipelineConfigurationError(text)
