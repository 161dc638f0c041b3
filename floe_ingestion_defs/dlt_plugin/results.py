"""The result of a load: totals as defined by the contract, and one entry per resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.contracts import IngestionResult
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ColumnSources:
    """The columns of the source behind the columns of a table.

    Attributes:
        with_values: Names in the source by column, such as `address.city` behind `address__city`.
        without_values: The same for columns without a value in the load, which the source may not
            have any more.
    """

    with_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    without_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedTable:
    """A table that rows of a resource name, after a load.

    Attributes:
        table: Full name, `namespace.table`.
        rows_loaded: Rows that this load extracted for it.
        total_rows: Rows of the table after the load; None if not known.
        snapshot_id: The table's snapshot after the load; None if it has none.
    """

    table: str
    rows_loaded: int
    total_rows: int | None
    snapshot_id: int | None


@dataclass(frozen=True)
class ResourceResult:
    """The result of a load for one resource's table.

    Attributes:
        resource: Name of the dlt resource.
        table: Full name of its table, `namespace.table`.
        rows_loaded: Rows of the table itself that this load extracted, without those of nested
            tables, and of the tables that its rows name.
        total_rows: Rows of these tables after the load, from the snapshot summaries; None if a
            summary has no count, or the catalog became unavailable after the commit.
        snapshot_id: Snapshot that the load created, or the current one if it created none; None
            if the table has no snapshot.
        previous_snapshot_id: Snapshot before the load; equal to `snapshot_id` if nothing changed.
        rejected: Rows and values that the schema contract rejected, and quarantined files.
        cursor_before: Stored cursor from which the load continued; None if there was none.
        cursor_after: Stored cursor from which the next load continues; the same one if the load
            found nothing newer, or loaded a window.
        source_columns: The source's columns behind each column of the table, as far as this load
            extracted them.
        named_tables: The tables that rows of the resource name, also of earlier loads.
    """

    resource: str
    table: str
    rows_loaded: int = 0
    total_rows: int | None = None
    snapshot_id: int | None = None
    previous_snapshot_id: int | None = None
    rejected: Rejections = field(default_factory=Rejections)
    cursor_before: Any = None
    cursor_after: Any = None
    source_columns: ColumnSources = field(default_factory=ColumnSources)
    named_tables: tuple[NamedTable, ...] = ()


@dataclass
class LoadResult(IngestionResult):
    """The result of a load, with its details.

    Attributes:
        load_ids: dlt's ids of the load packages; empty if there was nothing new.
        resources: Result of each resource, by name.
        table_rows: Loaded rows by table, including nested tables and tables of rejected rows.
        schema_changes: Columns that this load added or changed, with dlt's data types, by table.
        phase_seconds: Seconds of each phase, for all attempts together: `extract`, `normalize`,
            and, if there was anything to load, `stage`, `audit`, `commit` and `publish`.
        failed: Names of the resources of an isolated source that were not loaded.
    """

    load_ids: list[str] = field(default_factory=list)
    resources: dict[str, ResourceResult] = field(default_factory=dict)
    table_rows: dict[str, int] = field(default_factory=dict)
    schema_changes: dict[str, dict[str, str]] = field(default_factory=dict)
    phase_seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def include(self, other: LoadResult) -> None:
        """Add the result of another load of the same source."""
        self.rows_loaded += other.rows_loaded
        self.bytes_written += other.bytes_written
        self.duration_seconds += other.duration_seconds
        self.load_ids += other.load_ids
        self.resources |= other.resources
        self.table_rows |= other.table_rows
        self.schema_changes |= other.schema_changes
        for phase, seconds in other.phase_seconds.items():
            self.phase_seconds[phase] = self.phase_seconds.get(phase, 0.0) + seconds
