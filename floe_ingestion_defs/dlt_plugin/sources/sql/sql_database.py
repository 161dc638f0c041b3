"""Sources of type `sql_database`: tables of a database, through dlt's `sql_table`, as Arrow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from floe_ingestion_defs.dlt_plugin.cursors.incremental import cursor_for
from floe_ingestion_defs.dlt_plugin.cursors.values import (
    as_date,
    as_timestamp,
    is_date_or_timestamp,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.sources.base import SourceType
from floe_ingestion_defs.dlt_plugin.sources.sql.connection import (
    create_engine,
    require_sqlite_file,
    resolve_credentials,
)
from floe_ingestion_defs.dlt_plugin.sources.sql.reflection import plain_type, reflect_resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dlt.extract import DltResource
    from dlt.sources.credentials import ConnectionStringCredentials
    from dlt.sources.sql_database import BaseTableLoader, TableBackend, TQueryAdapter
    from sqlalchemy import Table

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import SqlDatabaseOptions
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections


class SqlDatabaseSource(SourceType):
    """The configured tables and views; nothing is reflected before a run."""

    name: ClassVar[str] = "sql_database"

    def resolve(
        self,
        source: IngestionSourceConfig,
        options: SqlDatabaseOptions,
        specs: Sequence[ResourceSpec],
    ) -> list[ResourceSpec]:
        """Return the resources with their reflected tables; see `reflect_resource`."""
        engine = create_engine(resolve_credentials(source, options), options)
        try:
            with engine.connect() as connection:
                return [reflect_resource(spec, options, connection) for spec in specs]
        finally:
            engine.dispose()

    def build(
        self,
        source: IngestionSourceConfig,
        options: SqlDatabaseOptions,
        specs: Sequence[ResourceSpec],
        request: LoadRequest,
        rejections: Mapping[str, Rejections],
    ) -> list[DltResource]:
        """Return a resource for each table."""
        import sqlalchemy
        from dlt.sources.sql_database import sql_table

        from floe_ingestion_defs.dlt_plugin.sources.sql.empty_tables import materializing

        credentials = resolve_credentials(source, options)
        resources = []
        for spec in specs:
            backend, loader = _backend(credentials, options, spec.table_name)
            table: Table = spec.origin
            metadata = sqlalchemy.MetaData(schema=options.schema_)
            resource = sql_table(
                credentials=credentials,
                table=table.name,
                schema=options.schema_,
                metadata=metadata,
                incremental=cursor_for(
                    spec,
                    request,
                    partial(_typed, spec=spec),
                    ordered=request.limit is not None,
                ),
                chunk_size=options.chunk_size,
                backend=backend,
                table_loader_class=materializing(loader, spec.table_name),
                reflection_level=options.reflection_level,
                type_adapter_callback=partial(plain_type, options=options),
                # dlt's hints are made during extraction, when the schema contract judges them.
                defer_table_reflect=True,
                backend_kwargs=options.backend_kwargs or {},
                engine_kwargs=options.engine_kwargs,
                query_adapter_callback=_row_filter(
                    options.where.get(spec.name) or options.where.get(table.name)
                ),
            ).with_name(spec.name)
            # dlt finds the table here, and does not reflect it again.
            table.to_metadata(metadata)
            if request.limit is not None:
                resource.add_limit(request.limit, count_rows=True)
            resources.append(resource)
        return resources

    def check(
        self, source: IngestionSourceConfig, options: SqlDatabaseOptions, timeout: float
    ) -> None:
        """Connect once."""
        engine = create_engine(resolve_credentials(source, options), options)
        try:
            require_sqlite_file(engine)
            with engine.connect():
                pass
        finally:
            engine.dispose()


def _backend(
    credentials: ConnectionStringCredentials, options: SqlDatabaseOptions, table_name: str
) -> tuple[TableBackend, type[BaseTableLoader]]:
    """Return dlt's backend and table loader; dlt's name for any loader of Arrow is `pyarrow`."""
    from dlt.sources.sql_database import get_table_loader_class

    if options.backend != "auto" and options.backend != "adbc":
        return options.backend, get_table_loader_class(options.backend)
    from floe_ingestion_defs.dlt_plugin.sources.sql.adbc import AdbcTableLoader, can_read

    if can_read(credentials):
        if options.readers == 1:
            return "pyarrow", AdbcTableLoader
        from floe_ingestion_defs.dlt_plugin.sources.sql.parallel import reading_with

        return "pyarrow", reading_with(options.readers, table_name)
    if options.backend == "adbc" or options.readers > 1:
        setting = (
            "backend is 'adbc'" if options.backend == "adbc" else f"readers is {options.readers}"
        )
        msg = (
            f"source_config.{setting}, which requires PostgreSQL and the package "
            "adbc-driver-postgresql; install floe-ingestion-defs[postgres], or use 'pyarrow' with "
            "one reader"
        )
        raise PipelineConfigurationError(msg)
    return "pyarrow", get_table_loader_class("pyarrow")


def _row_filter(condition: str | None) -> TQueryAdapter | None:
    """Return the adapter that adds a condition to the query of a table; None without one."""
    if condition is None:
        return None
    import sqlalchemy

    def add_condition(query: Any, *_: Any) -> Any:
        # Not `text`, in which a colon would be a parameter. The line break ends a comment.
        return query.where(sqlalchemy.literal_column(f"({condition}\n)"))

    return add_condition


def _typed(value: Any, spec: ResourceSpec) -> Any:
    """Return a string as the date or timestamp that the database compares its column with.

    YAML and JSON pass quoted dates as strings, which drivers do not compare with a timestamp.
    """
    if not is_date_or_timestamp(value):
        return value
    import sqlalchemy

    kind = spec.origin.columns[spec.cursor_field].type
    if isinstance(kind, sqlalchemy.DateTime):
        return as_timestamp(value, zoned=bool(kind.timezone))
    return as_date(value) if isinstance(kind, sqlalchemy.Date) else value
