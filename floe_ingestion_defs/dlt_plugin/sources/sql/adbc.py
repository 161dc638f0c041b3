"""Reads a PostgreSQL table as Arrow batches over ADBC, as fast as the server sends them.

ADBC was preferred to ConnectorX, which is as fast but panics on numerics of more than 28 digits and
truncates others after ten decimal places. ADBC's errors have SQLSTATEs.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import sqlalchemy as sa
from dlt.sources.sql_database import BaseTableLoader
from sqlalchemy.dialects.postgresql.base import PGDialect

from floe_ingestion_defs.dlt_plugin.errors.exceptions import SourceReadError
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import (
    ColumnTypeMismatch,
    arrow_type,
    conform,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.sources.credentials import ConnectionStringCredentials

_BATCH_BYTES = 8 * 1024 * 1024
# Types that ADBC returns as their Arrow type; the server sends all others as text, including
# numerics, which it formats faster than a client.
_AS_THEY_ARE = (
    sa.Integer,
    sa.Float,
    sa.Boolean,
    sa.Date,
    sa.DateTime,
    sa.Time,
    sa.String,
    sa.LargeBinary,
)


def can_read(credentials: ConnectionStringCredentials) -> bool:
    """Return whether the database can be read over ADBC, and the driver is installed."""
    dialect = (credentials.drivername or "").partition("+")[0]
    return dialect in ("postgresql", "postgres") and find_spec("adbc_driver_postgresql") is not None


class AdbcTableLoader(BaseTableLoader):
    """Loads the rows of one table; dlt creates one per table that it extracts."""

    def load_rows(self, backend_kwargs: dict[str, Any] | None = None) -> Iterator[pa.Table]:
        """Yield the rows as Arrow tables, with the types that the database or the user declares.

        Args:
            backend_kwargs: Further arguments of ADBC's `connect`.

        Raises:
            SourceReadError: A value cannot be converted to the type of its column.
        """
        query = self.make_query()
        if isinstance(query, sa.Select):
            query = self.readable_query()
        with self.connect(backend_kwargs) as connection, connection.cursor() as cursor:
            for table in fetch(cursor, as_sql(query)):
                yield self.typed(table)

    def connect(self, backend_kwargs: dict[str, Any] | None, *, autocommit: bool = False) -> Any:
        """Return a connection, which is a context manager."""
        from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped,unused-ignore]

        url = self.get_connection_url()
        return dbapi.connect(url, autocommit=autocommit, **(backend_kwargs or {}))

    def readable_query(self) -> sa.Select[Any]:
        """Return the query of the rows, with its columns in types that ADBC returns exactly."""
        query: Any = self.make_query()
        columns = (_readable(column) for column in self.table.columns)
        return cast("sa.Select[Any]", query.with_only_columns(*columns))

    def typed(self, table: pa.Table) -> pa.Table:
        """Return rows with the types that the database or the user declares.

        Raises:
            SourceReadError: A value cannot be converted to the type of its column.
        """
        types = {
            name: kind
            for name, column in self.columns.items()
            if (kind := arrow_type(column)) is not None
        }
        try:
            return conform(table, types)
        except ColumnTypeMismatch as mismatch:
            msg = f"table {self.table.name}: {mismatch}; declare the column under `columns`"
            if pa.types.is_decimal(mismatch.expected):
                msg += ", or set source_config.unbounded_numeric to text"
        raise SourceReadError(msg)


def fetch(cursor: Any, query: str) -> Iterator[pa.Table]:
    """Yield the rows of a query as tables of some megabytes, as the server sends them.

    Args:
        cursor: A cursor of ADBC.
        query: The query in PostgreSQL's SQL.

    Raises:
        OSError: The query failed after the first rows; the message contains the server's.
    """
    cursor.adbc_statement.set_options(
        **{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)}
    )
    cursor.execute(query)
    try:
        for batch in cursor.fetch_record_batch():
            yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        # Versions before 1.9 of the driver; later ones raise an OSError with the same message.
        raise OSError(*error.args) from None


def as_sql(query: Any) -> str:
    """Return a query in PostgreSQL's SQL, with its values in it."""
    # psycopg's dialect would double every percent sign.
    dialect: Any = PGDialect  # SQLAlchemy's constructor has no types.
    compiled = query.compile(
        dialect=dialect(paramstyle="named"), compile_kwargs={"literal_binds": True}
    )
    return str(compiled)


def _readable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    kind = column.type
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return sa.cast(column, sa.Text).label(column.name)
    if isinstance(kind, sa.ARRAY):
        return sa.cast(sa.func.to_json(column), sa.Text).label(column.name)
    zoned_time = isinstance(kind, sa.Time) and kind.timezone
    if isinstance(kind, _AS_THEY_ARE) and not isinstance(kind, sa.Enum) and not zoned_time:
        return column
    return sa.cast(column, sa.Text).label(column.name)
