"""A table at one head of `main`, against which a change is computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pyiceberg.manifest import ManifestContent
from pyiceberg.table import DataScan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata


@dataclass(frozen=True)
class TableState:
    """A table at the head that a merge is computed against.

    Attributes:
        metadata: The table's metadata, with the schema that the load evolves it to.
        is_empty: Whether the table counts as empty: it is new, or emptied by the load.
    """

    metadata: TableMetadata
    io: FileIO
    is_empty: bool = False

    @cached_property
    def tasks(self) -> tuple[FileScanTask, ...]:
        """The data files of `main`; an append does not read them, for the cost grows with them."""
        return () if self.is_empty else tuple(DataScan(self.metadata, self.io).plan_files())

    @property
    def data_files(self) -> Iterator[DataFile]:
        """The data files that `main` has there; unlike `tasks`, whatever delete files it has."""
        snapshot = self.metadata.snapshot_by_name("main")
        if self.is_empty or snapshot is None:
            return
        for manifest in snapshot.manifests(self.io):
            if manifest.content == ManifestContent.DATA:
                for entry in manifest.fetch_manifest_entry(self.io, discard_deleted=True):
                    yield entry.data_file
