"""A table as a load will leave it: what admission and audits look at before its commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import arrow_schema
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import (
    count_nulls,
    read_staged,
)
from floe_ingestion_defs.destinations.impl.iceberg.reading.inspection import row_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.io import FileIO
    from pyiceberg.table import CreateTableTransaction, Table
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent


@dataclass(frozen=True)
class StagedTable:
    """A table as a load will leave it, before any reader can see it.

    Attributes:
        name: `namespace.table`.
        intent: What the load does to the table.
        metadata: The table's metadata with the schema that the load evolves it to.
        io: The FileIO of the staged files.
        current: The table as it is now, None where the load creates it.
        resource: The dlt resource that the rows come from.
        is_nested: Whether the rows are nested in those of another table.
        creation: The creation of the table, where the load creates it.
        read: When the table was read, or its creation staged.
        primary_key: The primary key by dlt's schema, also where the load is not a merge by it.
    """

    name: str
    intent: TableIntent
    metadata: TableMetadata
    io: FileIO
    current: Table | None = None
    resource: str | None = None
    is_nested: bool = False
    creation: CreateTableTransaction | None = None
    read: Since = field(default_factory=Since)
    primary_key: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of staged rows."""
        return self.intent.rows

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the staged rows."""
        return arrow_schema(self.metadata)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the staged rows, with some of their columns or all."""
        for _, batch in read_staged(self.io, self.intent.files, self.schema, columns):
            yield batch

    def count_nulls(self, columns: Sequence[str]) -> dict[str, int]:
        """Return in how many staged rows each of the columns has no value."""
        return count_nulls(self.io, self.intent.files, columns)

    @property
    def current_rows(self) -> int:
        """The current number of rows in the table."""
        snapshot = self.current.current_snapshot() if self.current else None
        return row_count(snapshot) or 0
