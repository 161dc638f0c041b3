"""What a load did: totals in the shape of the contract, and one entry for each resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from floe_ingestion_defs.contracts import IngestionResult
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections


@dataclass(frozen=True)
class ResourceResult:
    """What a load did to one resource's table.

    Args:
        resource: Name of the dlt resource.
        table: Full name of its table, `namespace.table`.
        rows_loaded: Rows of the table itself that this load extracted; rows of nested tables
            are not among them.
        total_rows: Rows of the table after the load, as its snapshot summary says; None where it
            says nothing, or the catalog went away after the commit.
        snapshot_id: Snapshot that the load made, or the current one where it made none; None
            where the table has none.
        previous_snapshot_id: Snapshot before the load; equal to `snapshot_id` where nothing
            changed.
        rejected: What was kept out, by the schema contract or because a file cannot be read.
        cursor_before: Stored cursor that the load went on from; None where there was none.
        cursor_after: Stored cursor that the next load goes on from; the same one where the load
            found nothing newer, or was of a window.
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


@dataclass
class LoadResult(IngestionResult):
    """A load with its details.

    Args:
        load_ids: dlt's ids of the load packages; empty where there was nothing new.
        resources: What happened to each resource, by its name.
        table_rows: Rows that were loaded, by table, nested tables and tables of refused rows
            included.
        schema_changes: Columns that this load added or changed, with dlt's data types, by table.
        phase_seconds: Seconds of each phase that happened, all tries together: `extract`,
            `normalize`, and, where there was anything to load, `stage`, `audit`, `commit` and
            `publish`.
        failed: Names of the resources of an isolated source that were not loaded.
    """

    load_ids: list[str] = field(default_factory=list)
    resources: dict[str, ResourceResult] = field(default_factory=dict)
    table_rows: dict[str, int] = field(default_factory=dict)
    schema_changes: dict[str, dict[str, str]] = field(default_factory=dict)
    phase_seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def include(self, other: LoadResult) -> None:
        """Add what another load of the same source did."""
        self.rows_loaded += other.rows_loaded
        self.bytes_written += other.bytes_written
        self.duration_seconds += other.duration_seconds
        self.load_ids += other.load_ids
        self.resources |= other.resources
        self.table_rows |= other.table_rows
        self.schema_changes |= other.schema_changes
        for phase, seconds in other.phase_seconds.items():
            self.phase_seconds[phase] = self.phase_seconds.get(phase, 0.0) + seconds
