"""Reading ahead: what the next step will read from a distant store is read while this one waits."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from floe_ingestion_defs.destinations.impl.iceberg.catalog.file_memory import FILE_MEMORY
from floe_ingestion_defs.destinations.impl.iceberg.catalog.s3_file_io import RemembersFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

T = TypeVar("T")


def is_unread(table: Table) -> bool:
    """Return whether the table's snapshot has to be read from a store, and is remembered then."""
    snapshot = table.current_snapshot()
    return (
        snapshot is not None
        and isinstance(table.io, RemembersFiles)
        and FILE_MEMORY.get(snapshot.manifest_list) is None
    )


def begin(work: Callable[[], T]) -> Future[T]:
    """Begin some work in another thread, which nothing has to wait for."""
    threads = ThreadPoolExecutor(1, "ahead")
    future = threads.submit(copy_context().run, work)
    threads.shutdown(wait=False)
    return future


def read_manifest_list_ahead(table: Table) -> None:
    """Begin to read a table's manifest list, which its next commit extends."""
    snapshot = table.current_snapshot()
    if snapshot is not None and is_unread(table):
        begin(lambda: table.io.new_input(snapshot.manifest_list).open().close())


def read_manifests(table: Table) -> None:
    """Read a table's manifest list and manifests, so that the next reader finds them."""
    from pyiceberg.utils.concurrent import ExecutorFactory

    def read(location: str) -> None:
        table.io.new_input(location).open().close()

    if snapshot := table.current_snapshot():
        locations = [manifest.manifest_path for manifest in snapshot.manifests(table.io)]
        list(ExecutorFactory.get_or_create().map(read, locations))
