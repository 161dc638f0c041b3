"""A table at one head of `main`, against which a change is computed."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from pyiceberg.table import DataScan

from floe_ingestion_defs.destinations.impl.iceberg.changes.attempt_results import AttemptResults
from floe_ingestion_defs.destinations.impl.iceberg.parallel.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import RewriteExecutor

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class TableState:
    """A table at the head that a merge is computed against.

    Attributes:
        metadata: The table's metadata, with the schema that the load evolves it to.
        is_empty: Whether the table counts as empty: it is new, or emptied by the load.
        was_rolled_back: Whether another writer removed the snapshot that was published last.
        earlier: The results of earlier attempts at the same commit.
        executor: Where the work on data files runs.
    """

    metadata: TableMetadata
    io: FileIO
    is_empty: bool = False
    was_rolled_back: bool = False
    earlier: AttemptResults = field(default_factory=AttemptResults)
    executor: RewriteExecutor = "threads"

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return a result that depends on the table's schema and layout, but not on its head."""
        return self.earlier.once((self._version, key), compute)

    def once_per_file(
        self,
        key: Hashable,
        compute: Callable[[S, FileScanTask], R],
        shared: S,
        tasks: Iterable[FileScanTask],
    ) -> Iterator[tuple[FileScanTask, Hashable, R]]:
        """Yield data files, each with its key and what is computed from it, in their order.

        The executor computes what no earlier attempt did.

        Args:
            key: All that the results depend on, but the file and its delete files.
            compute: The work on one file, called with `shared` and the file.
            shared: What the work on all files has in common.
            tasks: The files.
        """
        keyed = [((self._version, key, _content_of(task)), task) for task in tasks]
        new = [pair for pair in keyed if pair[0] not in self.earlier]
        computed = in_parallel(compute, shared, [task for _, task in new], self.executor)
        for (each, _), (_, result) in zip(new, computed, strict=True):
            self.earlier.keep(each, result)
        for each, task in keyed:
            yield task, each, self.earlier.once(each, functools.partial(compute, shared, task))

    @cached_property
    def _version(self) -> Hashable:
        metadata = self.metadata
        schema, spec = metadata.schema().model_dump_json(), str(metadata.spec())
        return metadata.table_uuid, schema, spec, metadata.default_sort_order_id

    @cached_property
    def tasks(self) -> tuple[FileScanTask, ...]:
        """The data files of `main`; an append does not read them, for the cost grows with them."""
        return () if self.is_empty else tuple(DataScan(self.metadata, self.io).plan_files())

    @property
    def files(self) -> Iterator[DataFile]:
        """The data files and delete files of `main`, also those that cannot be read."""
        snapshot = self.metadata.snapshot_by_name("main")
        if self.is_empty or snapshot is None:
            return
        for manifest in snapshot.manifests(self.io):
            for entry in manifest.fetch_manifest_entry(self.io, discard_deleted=True):
                yield entry.data_file


def _content_of(task: FileScanTask) -> Hashable:
    return task.file.file_path, frozenset(file.file_path for file in task.delete_files)
