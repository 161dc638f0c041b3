"""The check `table_health`: whether a table needs maintenance, from its metadata.

Manifests are read only if the snapshot's summary says that there are many files, or deletes.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.settings.checks import TableHealthCheck
from floe_ingestion_defs.destinations import (
    CompactionOptions,
    live_files,
    plan_groups,
    summary_count,
)

if TYPE_CHECKING:
    from pyiceberg.table import Table

# Fewer files do not slow a reader down, however small they are.
FEWEST_FILES = 100
_MAX_AGE = "history.expire.max-snapshot-age-ms"
# The default of Iceberg.
_DEFAULT_AGE = timedelta(days=5)


def check_table_health(
    table: "Table | None", check: TableHealthCheck, now: datetime
) -> CheckResult:
    """Compare the shares of small files and deleted rows, and old snapshots, with their limits.

    Args:
        table: The table; None if it does not exist yet.
        check: The limits.
        now: The current time.
    """
    if table is None:
        return CheckResult(True, "The table does not exist yet.")
    small, files = _count_small_files(table)
    deleted = _share_of_deleted_rows(table)
    old = _count_old_snapshots(table, now)
    found = []
    share = small / files if files else 0.0
    if check.max_small_files is not None and share > check.max_small_files:
        found.append(f"{small:,} of {files:,} data files are small")
    if check.max_deleted_rows is not None and deleted > check.max_deleted_rows:
        found.append(f"{deleted:.0%} of the rows are marked as deleted")
    *dataset, name = table.name()
    remedies = [f"compact it with `floe compact {'.'.join(dataset)} {name}`"] if found else []
    if check.max_old_snapshots is not None and old > check.max_old_snapshots:
        found.append(f"{old:,} snapshots are past their retention")
        remedies.append("expire its snapshots")
    metadata: dict[str, Any] = {
        "data_files": files,
        "small_files": small,
        "small_files_share": share,
        "deleted_rows_share": deleted,
        "snapshots": len(table.metadata.snapshots),
        "snapshots_past_retention": old,
    }
    if not found:
        return CheckResult(True, "The table does not need maintenance.", metadata)
    remedy = f"Configure `maintenance`, or {' and '.join(remedies)}."
    summary = f"The table needs maintenance: {'; '.join(found)}. {remedy}"
    return CheckResult(False, summary, metadata)


def _count_small_files(table: "Table") -> tuple[int, int]:
    """Return how many files a compaction would combine, and how many there are."""
    files = summary_count(table.current_snapshot(), "total-data-files")
    if files is not None and files < FEWEST_FILES:
        return 0, files
    plan = plan_groups(table.metadata, live_files(table), CompactionOptions())
    return (plan.files_removed if plan.files_removed >= FEWEST_FILES else 0), plan.files


def _share_of_deleted_rows(table: "Table") -> float:
    snapshot = table.current_snapshot()
    rows = summary_count(snapshot, "total-records") or 0
    deleted = summary_count(snapshot, "total-position-deletes") or 0
    return min(deleted / rows, 1.0) if rows else 0.0


def _count_old_snapshots(table: "Table", now: datetime) -> int:
    configured = table.properties.get(_MAX_AGE, "")
    age = timedelta(milliseconds=int(configured)) if configured.isdecimal() else _DEFAULT_AGE
    oldest = (now.astimezone(UTC) - age).timestamp() * 1000
    referred = {ref.snapshot_id for ref in table.metadata.refs.values()}
    return sum(
        snapshot.timestamp_ms < oldest and snapshot.snapshot_id not in referred
        for snapshot in table.metadata.snapshots
    )
