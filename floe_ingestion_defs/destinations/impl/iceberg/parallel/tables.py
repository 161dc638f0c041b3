"""The work on several tables of one load, or on files of one table, where most of it is waiting.

A table takes a remote catalog and store some ten requests, one after the other, and a file three or
more. On a local disk, there is nothing to wait for.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from pyiceberg.io import WAREHOUSE

from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyiceberg.catalog import Catalog

T = TypeVar("T")
R = TypeVar("R")

# Each may hold the keys of a merge, and batches of its rows.
TABLES_AT_ONCE = 4
# Each may hold 128 MB of rows that are split by partition, and as much that is sorted.
FILES_AT_ONCE = 2


def for_each_table(catalog: Catalog, work: Callable[[T], R], tables: Sequence[T]) -> list[R]:
    """Return what the work on each table returns, in the given order.

    Args:
        catalog: The catalog of the tables; the work is parallel if it or its store is remote.
        work: The work on one table, which is called in any thread with the caller's context.
        tables: The tables.

    Raises:
        Exception: The first error in the given order; tables that wait are left out.
    """
    return _for_each(catalog, work, tables, TABLES_AT_ONCE)


def for_each_file(catalog: Catalog, work: Callable[[T], R], files: Sequence[T]) -> list[R]:
    """Return the same as `for_each_table` for the files of one table."""
    return _for_each(catalog, work, files, FILES_AT_ONCE)


def _for_each(
    catalog: Catalog, work: Callable[[T], R], items: Sequence[T], at_once: int
) -> list[R]:
    if len(items) < 2 or not _is_distant(catalog):
        return [work(item) for item in items]
    with ThreadPoolExecutor(at_once, "waiting") as threads:
        results = [threads.submit(copy_context().run, work, item) for item in items]
        try:
            return [result.result() for result in results]
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise


def _is_distant(catalog: Catalog) -> bool:
    scheme, separator, _ = str(catalog.properties.get(WAREHOUSE, "")).partition("://")
    return is_remote(catalog) or (bool(separator) and scheme != "file")
