"""Sources of type `sql_database`: tables of a database, through dlt's `sql_table`, as Arrow."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from floe_ingestion_defs.dlt_plugin.cursors.incremental import cursor_for
from floe_ingestion_defs.dlt_plugin.cursors.values import (
    as_date,
    as_timestamp,
    is_date_or_timestamp,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dlt.extract import DltResource
    from dlt.sources.credentials import ConnectionStringCredentials
    from dlt.sources.sql_database import BaseTableLoader, TableBackend
    from sqlalchemy import Engine, Table
    from sqlalchemy.types import TypeEngine

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import SqlDatabaseOptions
    from floe_ingestion_defs.dlt_plugin.load_request import LoadRequest
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections


# Iceberg's longest decimal, and the decimal places of a numeric without a precision: an average of
# integers in PostgreSQL has at most so many.
_LONGEST_DECIMAL = 38
_UNBOUNDED_SCALE = 20


class SqlDatabaseSource:
    """The configured tables and views; nothing is reflected before a run."""

    name: ClassVar[str] = "sql_database"

    def build(
        self,
        source: IngestionSourceConfig,
        options: SqlDatabaseOptions,
        specs: Sequence[ResourceSpec],
        request: LoadRequest,
        rejections: Mapping[str, Rejections],
    ) -> list[DltResource]:
        """Return a resource for each table."""
        from dlt.sources.sql_database import sql_table

        credentials = _credentials(source, options)
        backend, loader = _backend(credentials, options)
        resources = []
        for spec in specs:
            resource = sql_table(
                credentials=credentials,
                table=spec.name,
                schema=options.schema_,
                incremental=cursor_for(
                    spec,
                    request,
                    partial(_typed, spec=spec, credentials=credentials, options=options),
                    ordered=request.limit is not None,
                ),
                chunk_size=options.chunk_size,
                backend=backend,
                table_loader_class=loader,
                reflection_level=options.reflection_level,
                type_adapter_callback=partial(_plain_type, options=options),
                # Reflected during extraction, so that a missing table is a failed load.
                defer_table_reflect=True,
                backend_kwargs=options.backend_kwargs or {},
                engine_kwargs=options.engine_kwargs,
                table_adapter_callback=partial(_select_columns, options=options),
            )
            if request.limit is not None:
                resource.add_limit(request.limit, count_rows=True)
            resources.append(resource)
        return resources

    def check(
        self, source: IngestionSourceConfig, options: SqlDatabaseOptions, timeout: float
    ) -> None:
        """Connect once."""
        engine = _engine(_credentials(source, options), options)
        try:
            _require_sqlite_file(engine)
            with engine.connect():
                pass
        finally:
            engine.dispose()


def _backend(
    credentials: ConnectionStringCredentials, options: SqlDatabaseOptions
) -> tuple[TableBackend, type[BaseTableLoader] | None]:
    """Return dlt's backend and table loader; dlt's name for any loader of Arrow is `pyarrow`."""
    if options.backend != "auto" and options.backend != "adbc":
        return options.backend, None
    from floe_ingestion_defs.dlt_plugin.sources.sql.adbc import AdbcTableLoader, can_read

    if can_read(credentials):
        return "pyarrow", AdbcTableLoader
    if options.backend == "adbc":
        msg = (
            "source_config.backend is 'adbc', which requires PostgreSQL and the package "
            "adbc-driver-postgresql; install floe-ingestion-defs[postgres], or use 'pyarrow'"
        )
        raise PipelineConfigurationError(msg)
    return "pyarrow", None


def _plain_type(kind: TypeEngine[Any], options: SqlDatabaseOptions) -> TypeEngine[Any]:
    """Return the type that dlt infers a column from.

    In SQLAlchemy 2.1, Float is no longer a Numeric. A numeric without a precision gets one that no
    usual value exceeds: dlt's nine decimal places are fewer than an average has.
    """
    import sqlalchemy

    if isinstance(kind, sqlalchemy.Float):
        return sqlalchemy.Numeric(asdecimal=False)
    if isinstance(kind, sqlalchemy.Numeric) and kind.asdecimal and kind.precision is None:
        if options.unbounded_numeric == "text":
            return sqlalchemy.Text()
        return sqlalchemy.Numeric(_LONGEST_DECIMAL, _UNBOUNDED_SCALE)
    return kind


def _select_columns(table: Table, options: SqlDatabaseOptions) -> None:
    """Remove the columns that are not loaded from a reflected table.

    dlt's own arguments ignore a name that is not in the table: with a typo in `excluded_columns`,
    the column that must not be loaded would be.

    Raises:
        PipelineConfigurationError: A setting names a column that the table does not have.
    """
    from dlt.sources.sql_database.schema_types import default_table_adapter

    included = options.included_columns.get(table.name)
    excluded = options.excluded_columns.get(table.name)
    for setting, columns in (("included_columns", included), ("excluded_columns", excluded)):
        for name in columns or ():
            if name not in table.columns:
                msg = (
                    f"source_config.{setting}.{table.name} names {name!r}, which is not a column "
                    f"of the table; its columns are {', '.join(table.columns.keys())}"
                )
                raise PipelineConfigurationError(msg)
    default_table_adapter(
        table,
        None if included is None else list(included),
        None if excluded is None else list(excluded),
    )


def _credentials(
    source: IngestionSourceConfig, options: SqlDatabaseOptions
) -> ConnectionStringCredentials:
    """Return the configured URL of the database, or that of dlt's providers."""
    from dlt.common.configuration.resolve import resolve_configuration
    from dlt.sources.credentials import ConnectionStringCredentials

    given = options.credentials if options.credentials is not None else source.credentials
    value: Any = None
    if isinstance(given, dict):
        value = {key: secret.get_secret_value() for key, secret in given.items()}
    elif given is not None:
        value = given.get_secret_value()
    credentials = resolve_configuration(
        ConnectionStringCredentials(),
        sections=("sources", source.name, "credentials"),
        explicit_value=value,
    )
    if credentials.drivername in ("postgres", "postgresql"):
        credentials.drivername = f"postgresql+{_postgresql_driver()}"
    return credentials


def _postgresql_driver() -> str:
    """Return the installed driver: SQLAlchemy 2.1 defaults to psycopg, dlt's extra is psycopg2."""
    return "psycopg2" if find_spec("psycopg") is None and find_spec("psycopg2") else "psycopg"


def _engine(credentials: ConnectionStringCredentials, options: SqlDatabaseOptions) -> Engine:
    from dlt.sources.sql_database import engine_from_credentials

    return engine_from_credentials(credentials, **(options.engine_kwargs or {}))


def _require_sqlite_file(engine: Engine) -> None:
    """Reject a missing database file, for which SQLite would create an empty database."""
    from pathlib import Path

    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:":
        return
    if not database.startswith("file:") and not Path(database).is_file():
        msg = f"database file {database} does not exist"
        raise FileNotFoundError(msg)


def _typed(
    value: Any,
    spec: ResourceSpec,
    credentials: ConnectionStringCredentials,
    options: SqlDatabaseOptions,
) -> Any:
    """Return a string as the date or timestamp that the database compares its column with.

    YAML and JSON pass quoted dates as strings, which drivers do not compare with a timestamp.
    """
    if not is_date_or_timestamp(value):
        return value
    import sqlalchemy

    engine = _engine(credentials, options)
    try:
        columns = sqlalchemy.inspect(engine).get_columns(spec.name, schema=options.schema_)
    finally:
        engine.dispose()
    kinds = [column["type"] for column in columns if column["name"] == spec.cursor_field]
    if kinds and isinstance(kinds[0], sqlalchemy.DateTime):
        return as_timestamp(value, zoned=bool(kinds[0].timezone))
    if kinds and isinstance(kinds[0], sqlalchemy.Date):
        return as_date(value)
    return value
