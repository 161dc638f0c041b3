"""Reads a PostgreSQL table with several connections, which see one state of it.

The pages of the table are divided into ranges (`ctid`), which need no key and no index. One
transaction exports its snapshot (`pg_export_snapshot`), and that of each reader imports it: rows
that others insert, update or delete meanwhile are read as they were when the load began.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from queue import Empty, Full, Queue, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa

from floe_ingestion_defs.dlt_plugin.sources.first_load import is_first_load
from floe_ingestion_defs.dlt_plugin.sources.sql.adbc import AdbcTableLoader, as_sql, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# A range that is read with one statement. Small ones divide the work evenly, and cost a statement.
_PAGES_PER_RANGE = 8192
# Scans of a range of pages; without them, each range would scan the whole table.
_FIRST_VERSION = 140_000
# Pages of the longest of a table's partitions, each of which has the ranges; null for a view and
# anything else that has no pages of its own, such as a foreign partition or child.
_PAGES = """
SELECT CASE WHEN bool_and(c.relkind IN ('r', 'm') AND NOT c.relhassubclass) THEN
    max(pg_relation_size(c.oid)) / current_setting('block_size')::int
END
FROM pg_class c
WHERE current_setting('server_version_num')::int >= {version} AND c.oid IN (
    SELECT {table}::regclass::oid WHERE NOT EXISTS (SELECT FROM pg_partition_tree({table}))
    UNION SELECT relid FROM pg_partition_tree({table}) WHERE isleaf
)
"""


class ParallelTableLoader(AdbcTableLoader):
    """Loads the rows of one table with several readers, if all of its rows are loaded.

    A load of the rows past a cursor is left to one reader, which can use an index.

    Attributes:
        readers: Number of connections that read.
        table_name: Name of the table that the rows are loaded into.
        pages_per_range: Pages of the table that are read with one statement.
    """

    readers: ClassVar[int]
    table_name: ClassVar[str]
    pages_per_range: ClassVar[int] = _PAGES_PER_RANGE

    def load_rows(self, backend_kwargs: dict[str, Any] | None = None) -> Iterator[pa.Table]:
        """Yield the rows as Arrow tables, in no particular order; see `AdbcTableLoader`.

        Batches that are not taken yet are bounded in number, and so is the memory.
        """
        if not isinstance(self.make_query(), sa.Select) or not self._loads_all():
            yield from super().load_rows(backend_kwargs)
            return
        with self._exported_snapshot(backend_kwargs) as (snapshot, pages):
            divided = pages is not None and pages > self.pages_per_range
            if divided:
                yield from self.read_ranges(snapshot, pages, backend_kwargs)
        if not divided:
            yield from super().load_rows(backend_kwargs)

    def _loads_all(self) -> bool:
        if self.limit is not None or self.row_order is not None:
            return False
        return self.last_value is None or is_first_load(self.table_name)

    @contextmanager
    def _exported_snapshot(
        self, backend_kwargs: dict[str, Any] | None
    ) -> Iterator[tuple[str, Any]]:
        """Yield a snapshot, which can be imported during the block, and the pages of the table."""
        preparer = self.engine.dialect.identifier_preparer
        name = preparer.format_table(self.table).replace("'", "''")
        pages = _PAGES.format(table=f"'{name}'", version=_FIRST_VERSION)
        with (
            self.connect(backend_kwargs, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(_BEGIN)
            cursor.execute("SELECT pg_export_snapshot()")
            snapshot = cursor.fetchone()[0]
            cursor.execute(pages)
            yield snapshot, cursor.fetchone()[0]

    def read_ranges(
        self, snapshot: str, pages: int, backend_kwargs: dict[str, Any] | None
    ) -> Iterator[pa.Table]:
        """Yield the rows of a table, which are read by ranges of pages.

        Args:
            snapshot: The exported snapshot.
            pages: Pages of the table, at least one.
            backend_kwargs: Further arguments of ADBC's `connect`.
        """
        starts = range(0, pages, self.pages_per_range)
        # The last range has no end: the pages of a table grow, and partitions differ in length.
        ranges = [*pairwise(starts), (starts[-1], None)]
        queries = SimpleQueue[str]()
        for first, end in ranges:
            queries.put(self._query_of(first, end))
        # Tables, and the end of each reader, which has its error.
        found = Queue[pa.Table | Future[None]](2 * self.readers)
        stopped = Event()

        def put(item: pa.Table | Future[None]) -> None:
            while not stopped.is_set():
                with suppress(Full):
                    found.put(item, timeout=0.1)
                    return

        def read() -> None:
            with (
                self.connect(backend_kwargs, autocommit=True) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(_BEGIN)
                cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
                with suppress(Empty):
                    while not stopped.is_set():
                        for table in fetch(cursor, queries.get_nowait()):
                            put(self.typed(table))
                            if stopped.is_set():
                                return

        with ThreadPoolExecutor(self.readers, thread_name_prefix="floe-reader") as pool:
            try:
                for _ in range(self.readers):
                    pool.submit(read).add_done_callback(put)
                running = self.readers
                while running:
                    item = found.get()
                    if isinstance(item, Future):
                        item.result()
                        running -= 1
                    else:
                        yield item
            finally:
                stopped.set()

    def _query_of(self, first: int, end: int | None) -> str:
        """Return the statement that reads the rows of a range of pages."""
        inside = f"ctid >= '({first},0)'::tid"
        if end is not None:
            inside += f" AND ctid < '({end},0)'::tid"
        query = self.readable_query()
        return as_sql(query.where(sa.literal_column(f"({inside})")))


def reading_with(readers: int, table_name: str) -> type[ParallelTableLoader]:
    """Return a table loader with several readers.

    Args:
        readers: Number of connections that read.
        table_name: Name of the table that the rows are loaded into.
    """
    settings = {"readers": readers, "table_name": table_name}
    return type("ParallelTableLoader", (ParallelTableLoader,), settings)
