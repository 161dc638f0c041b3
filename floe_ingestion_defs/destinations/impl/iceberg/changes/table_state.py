"""A table at one head of `main`: what a change is computed against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pyiceberg.table import DataScan

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata


@dataclass(frozen=True)
class TableState:
    """A table at the head that a merge is computed against.

    Attributes:
        metadata: With the schema that the load evolves the table to.
        is_empty: Whether it counts as one without rows: it is new, or emptied by the load.
    """

    metadata: TableMetadata
    io: FileIO
    is_empty: bool = False

    @cached_property
    def tasks(self) -> tuple[FileScanTask, ...]:
        """The data files that `main` has there. An append never asks: it costs by their number."""
        return () if self.is_empty else tuple(DataScan(self.metadata, self.io).plan_files())
