"""Reading back with SQL: what `pipeline.dataset()` needs, by DuckDB over streams of Arrow.

pyiceberg finds the data files and DuckDB runs the query, so it works with any catalog and storage,
without DuckDB's Iceberg extension. Imported only at the first read: DuckDB is an extra.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import sqlglot
from dlt.destinations.impl.duckdb.sql_client import DuckDBDBApiCursorImpl, WithTableScanners
from dlt.destinations.sql_client import raise_database_error
from pyiceberg.table import DataScan
from sqlglot import expressions
from sqlglot.errors import SqlglotError

from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    BATCH_ROWS,
    arrow_schema,
    read_data_file,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Sequence

    from dlt.common.destination.dataset import DBApiCursor
    from dlt.common.destination.typing import PreparedTableSchema
    from dlt.common.schema import Schema
    from duckdb import DuckDBPyConnection
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.client import IcebergClient


@dataclass(frozen=True)
class TableStream:
    """A table at one snapshot, which any Arrow consumer can read any number of times.

    Attributes:
        table: The table.
        columns: The columns to read, None for all.
    """

    table: Table
    columns: tuple[str, ...] | None = None

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        schema = arrow_schema(self.table.metadata)
        names = schema.names if self.columns is None else self.columns
        return pa.schema([schema.field(name) for name in names])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; memory holds the batches of one data file."""
        metadata, io = self.table.metadata, self.table.io
        for task in DataScan(metadata, io).plan_files():
            yield from read_data_file(metadata, io, task, self.columns)

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)


class _Cursor(DuckDBDBApiCursorImpl):
    """dlt's cursor, using the one way to read Arrow that DuckDB 1.5 and 2 share."""

    def iter_arrow(self, chunk_size: int) -> Generator[pa.Table, None, None]:
        reader: Any = self.native_cursor.to_arrow_reader(chunk_size or BATCH_ROWS)
        if not chunk_size:
            yield reader.read_all()
            return
        for batch in reader:
            yield pa.Table.from_batches([batch])


class IcebergSqlClient(WithTableScanners):
    """A client that queries the tables of one dataset, each as it is when the query begins."""

    cursor_impl: ClassVar[type[DuckDBDBApiCursorImpl]] = _Cursor

    def __init__(self, client: IcebergClient) -> None:
        self._client = client
        self._columns: Collection[str] | None = None
        super().__init__(client, client.dataset.name)

    @contextmanager
    @raise_database_error
    def execute_query(self, query: Any, *args: Any, **kwargs: Any) -> Iterator[DBApiCursor]:
        """Run a query; only columns that it may refer to are read."""
        if args or kwargs:
            query = query.replace("%s", "?")
        if _shows_tables(query):
            query = _TABLES
        references = _references(query, self.dataset_name)
        self._columns = references.columns
        self.create_views_for_tables(self._views(references.tables))
        # Not by the parent's own method: it cannot run what sqlglot cannot parse.
        with super(WithTableScanners, self).execute_query(query, *args, **kwargs) as cursor:
            yield cursor

    def _views(self, tables: Collection[str] | None) -> dict[str, str]:
        """Return the tables that a query refers to, in any case, or all of the schemas'."""
        known = self._table_views()
        if tables is None:
            return known
        wanted = {name.casefold() for name in tables}
        return {name: view for name, view in known.items() if name.casefold() in wanted}

    def detach_connection(self) -> DuckDBPyConnection:
        """Return a connection with views of all tables, each as it is now; it outlives the client.

        The views read only the rows that a query asks for, when it does.
        """
        connection = self.open_connection()
        self._columns = None
        self.create_views_for_all_tables()
        # dlt's client closes the database that it has when it is garbage-collected.
        del self.memory_db
        return connection

    def can_create_view(self, table_schema: PreparedTableSchema) -> bool:
        """Return True: every table can be read."""
        return True

    def should_replace_view(self, view_name: str, table_schema: PreparedTableSchema) -> bool:
        """Return True: each query sees the current tables, and reads other columns."""
        return True

    def create_view_select(
        self, table_schema: PreparedTableSchema, schema: Schema | None = None
    ) -> tuple[str, str] | None:
        """Return the select of a table's view; None without a table, so that DuckDB reports it."""
        name = str(table_schema["name"])
        table = self._client.dataset.load_table(name)
        if table is None or table.metadata.schema().fields == ():
            return None
        columns = _columns_to_read(table, self._columns)
        source = f"__iceberg_{name}"
        self.native_connection.register(source, TableStream(table, columns))
        select = expressions.select("*").from_(expressions.to_identifier(source, quoted=True))
        return table.location(), select.sql("duckdb")


# DuckDB's `SHOW TABLES` lists the temporary views that the tables are read by, too.
_TABLES = """
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = current_schema() ORDER BY name
"""


def _shows_tables(query: Any) -> bool:
    words = query.rstrip("; \n").casefold().split() if isinstance(query, str) else []
    return words == ["show", "tables"]


@dataclass(frozen=True)
class _References:
    """What a query refers to.

    Attributes:
        tables: Names of tables, None if it may refer to any.
        columns: Every name in the query in lower case, None if it may use columns that are not
            named in it.
    """

    tables: Collection[str] | None = None
    columns: Collection[str] | None = None


# What uses columns that a query does not name.
_UNNAMED = (
    expressions.Columns,
    expressions.PositionalColumn,
    expressions.Describe,
    expressions.Summarize,
    expressions.Pivot,
)


def _references(query: str, dataset: str) -> _References:
    try:
        parsed = sqlglot.parse_one(query, read="duckdb")
    except SqlglotError:
        return _References()  # DuckDB decides whether it is valid.
    tables = [table for table in parsed.find_all(expressions.Table) if table.this]
    if not isinstance(parsed, expressions.Query) or any(map(_is_of_catalog, tables)):
        return _References()
    of_dataset = {t.name for t in tables if not t.db or t.db.casefold() == dataset.casefold()}
    return _References(of_dataset, _named_columns(parsed, tables))


def _is_of_catalog(table: expressions.Table) -> bool:
    """Return whether a table lists other tables, such as those of `information_schema`."""
    if isinstance(table.this, expressions.Func):
        return True
    return table.db.casefold() in ("information_schema", "pg_catalog")


def _named_columns(
    query: expressions.Query, tables: Sequence[expressions.Table]
) -> Collection[str] | None:
    for star in query.find_all(expressions.Star):
        if not isinstance(star.parent, expressions.Count):
            return None
    if any(join.args.get("method") for join in query.find_all(expressions.Join)):
        return None  # A natural join is over the columns with the same name.
    if any(alias.columns for alias in query.find_all(expressions.TableAlias)):
        return None  # `t AS q(x, y)` names columns by their positions, and so does `#1`.
    if query.find(*_UNNAMED):
        return None
    aliases = {table.alias_or_name.lower() for table in tables}
    if aliases & {column.name.lower() for column in query.find_all(expressions.Column)}:
        return None  # `SELECT t FROM t` is a whole row.
    return {identifier.name.lower() for identifier in query.find_all(expressions.Identifier)}


def _columns_to_read(table: Table, named: Collection[str] | None) -> tuple[str, ...]:
    names = [field.name for field in table.schema().fields]
    if named is None:
        return tuple(names)
    # A query that only counts rows refers to none, and rows are counted by any column.
    return tuple(n for n in names if n.lower() in named) or (names[0],)
