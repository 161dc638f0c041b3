"""A table at one head of `main`, against which a change is computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from pyiceberg.table import DataScan

from floe_ingestion_defs.destinations.impl.iceberg.changes.attempt_results import AttemptResults

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata

T = TypeVar("T")


@dataclass(frozen=True)
class TableState:
    """A table at the head that a merge is computed against.

    Attributes:
        metadata: The table's metadata, with the schema that the load evolves it to.
        is_empty: Whether the table counts as empty: it is new, or emptied by the load.
        was_rolled_back: Whether another writer removed the snapshot that was published last.
        earlier: The results of earlier attempts at the same commit.
    """

    metadata: TableMetadata
    io: FileIO
    is_empty: bool = False
    was_rolled_back: bool = False
    earlier: AttemptResults = field(default_factory=AttemptResults)

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return a result that depends on the table's schema and layout, but not on its head."""
        return self.earlier.once((self._version, key), compute)

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
