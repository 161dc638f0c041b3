"""Lists the tables of a database, for the patterns of `table_names`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_ingestion_defs.dlt_plugin.config.table_patterns import DatabaseTables
from floe_ingestion_defs.dlt_plugin.sources.sql.connection import (
    create_engine,
    require_sqlite_file,
    resolve_credentials,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import SqlDatabaseOptions

# The rows of a partition are also those of its table.
_PARTITIONS = """
    SELECT c.relname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relispartition AND n.nspname = coalesce(:schema, current_schema())
"""


def list_tables(source: IngestionSourceConfig, options: SqlDatabaseOptions) -> DatabaseTables:
    """Return the tables and views of the schema that a source reads.

    Args:
        source: The source, with resolved placeholders.
        options: Its options.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: The database cannot be reached, or rejects the query.
    """
    engine = create_engine(resolve_credentials(source, options), options)
    try:
        require_sqlite_file(engine)
        with engine.connect() as connection:
            return _list(connection, options.schema_)
    finally:
        engine.dispose()


def _list(connection: Connection, schema: str | None) -> DatabaseTables:
    import sqlalchemy
    from sqlalchemy.dialects.postgresql.base import PGInspector

    inspector = sqlalchemy.inspect(connection)
    tables = set(inspector.get_table_names(schema))
    views = set(inspector.get_view_names(schema))
    if isinstance(inspector, PGInspector):
        tables |= set(inspector.get_foreign_table_names(schema))
        views |= set(inspector.get_materialized_view_names(schema))
        partitions = connection.execute(sqlalchemy.text(_PARTITIONS), {"schema": schema})
        tables -= set(partitions.scalars())
    return DatabaseTables(schema_=schema, tables=tuple(sorted(tables)), views=tuple(sorted(views)))
