"""The check `table_health`: whether a table lacks loads or needs maintenance, from its metadata.

Manifests are read only if the snapshot's summary says that there are many files, or deletes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.settings.checks import TableHealthCheck
from floe_ingestion_defs.destinations import (
    CompactionOptions,
    expired_snapshots,
    live_files,
    plan_groups,
    summary_count,
)

if TYPE_CHECKING:
    from pyiceberg.table import Table

# Fewer files do not slow a reader down, however small they are.
FEWEST_FILES = 100


def check_table_health(
    table: "Table | None", check: TableHealthCheck, missing: Sequence[str] = ()
) -> CheckResult:
    """Compare small files, deleted rows, old snapshots and missing loads with their limits.

    Args:
        table: The table; None if it does not exist yet.
        check: The limits.
        missing: The ids of the loads that a rollback or a restored backup removed from the table.
    """
    if table is None:
        return CheckResult(True, "The table does not exist yet.")
    small, files = _count_small_files(table)
    deleted = _share_of_deleted_rows(table)
    old = len(expired_snapshots(table.metadata))
    found = []
    share = small / files if files else 0.0
    if check.max_small_files is not None and share > check.max_small_files:
        found.append(f"{small:,} of {files:,} data files are small")
    if check.max_deleted_rows is not None and deleted > check.max_deleted_rows:
        found.append(f"{deleted:.0%} of the rows are marked as deleted")
    *namespace, name = table.name()
    dataset = ".".join(namespace)
    remedies = [f"compact it with `floe compact {dataset} {name}`"] if found else []
    if check.max_old_snapshots is not None and old > check.max_old_snapshots:
        found.append(f"{old:,} snapshots are past their retention")
        remedies.append(f"expire its snapshots with `floe expire {dataset} {name} --yes`")
    metadata: dict[str, Any] = {
        "data_files": files,
        "small_files": small,
        "small_files_share": share,
        "deleted_rows_share": deleted,
        "snapshots": len(table.metadata.snapshots),
        "snapshots_past_retention": old,
        "missing_loads": len(missing),
    }
    summaries = []
    if check.max_missing_loads is not None and len(missing) > check.max_missing_loads:
        summaries.append(
            "The table was rolled back or restored from a backup: it lacks the loads "
            f"{', '.join(missing)}, which do not come back by themselves. Roll it forward, or run "
            "a full refresh."
        )
    if found:
        remedy = f"Configure `maintenance`, or {' and '.join(remedies)}."
        summaries.append(f"The table needs maintenance: {'; '.join(found)}. {remedy}")
    if summaries:
        return CheckResult(False, " ".join(summaries), metadata)
    return CheckResult(True, "The table does not need maintenance.", metadata)


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
