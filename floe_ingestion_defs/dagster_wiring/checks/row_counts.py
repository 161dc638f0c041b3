"""The check `row_count_change`: a load changes the number of rows by no more than a limit."""

from typing import TYPE_CHECKING

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.settings.checks import RowCountChangeCheck
from floe_ingestion_defs.destinations import last_change, row_count

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from floe_ingestion_defs.dagster_wiring.checks.partition_rows import PartitionRows
    from floe_ingestion_defs.destinations import Outcome


def check_row_count_change(table: "Table | None", check: RowCountChangeCheck) -> CheckResult:
    """Compare the row count after the last load with that before it.

    Args:
        table: The table; None if it does not exist yet.
        check: The configured shares.
    """
    snapshot = last_change(table) if table is not None else None
    if table is None or snapshot is None or snapshot.parent_snapshot_id is None:
        return CheckResult(True, "There is no previous snapshot to compare with.")
    before = _last_rows(table, table.snapshot_by_id(snapshot.parent_snapshot_id))
    return _compare(before, row_count(snapshot), check)


def audit_row_count_change(outcome: "Outcome", check: RowCountChangeCheck) -> CheckResult:
    """Compare the row count of a table with the row count after a load.

    Args:
        outcome: What the load does to the table.
        check: The configured shares.
    """
    table = outcome.staged.current
    snapshot = table.current_snapshot() if table is not None else None
    if table is None or snapshot is None:
        return CheckResult(True, "There is no previous snapshot to compare with.")
    before = _last_rows(table, snapshot)
    may_lose = check.max_decrease is not None and outcome.may_shrink
    most = None if before is None else before * (1 + (check.max_increase or 0))
    may_gain = check.max_increase is not None and (
        most is None or outcome.staged.current_rows + outcome.staged.rows > most
    )
    if not may_lose and not may_gain:
        # How many rows of a merge are new is known only after the keys have been read.
        return CheckResult(True, "The load has too few rows to exceed the limit.")
    return _compare(before, outcome.rows_after, check)


def check_row_count_change_in(
    rows: "PartitionRows", before: int | None, check: RowCountChangeCheck
) -> CheckResult:
    """Compare the row count of a partition with that which its previous load left.

    Args:
        rows: The rows of the partition.
        before: The number of rows before; None if it is not known.
        check: The configured shares.
    """
    if before is None:
        return CheckResult(True, "There is no previous load of the partition to compare with.")
    return _compare(before, rows.count(), check)


def _compare(before: int | None, now: int | None, check: RowCountChangeCheck) -> CheckResult:
    if now is None or before is None:
        return CheckResult(True, "The snapshots do not record their row counts.")
    metadata = {"rows": now, "rows_before": before, "rows_changed": now - before}
    if before == 0:
        return CheckResult(True, f"The table was empty and now has {now:,} rows.", metadata)
    share = (now - before) / before
    found = f"The row count changed from {before:,} to {now:,} ({share:+.1%})."
    too_few = check.max_decrease is not None and share < -check.max_decrease
    too_many = check.max_increase is not None and share > check.max_increase
    return CheckResult(not (too_few or too_many), found, {**metadata, "share_changed": share})


def _last_rows(table: "Table", snapshot: "Snapshot | None") -> int | None:
    """Return the row count of a snapshot, or of the last one before it that was not empty.

    Tools that overwrite a table in two commits leave an empty snapshot in between.
    """
    rows = row_count(snapshot)
    while rows == 0 and snapshot is not None and snapshot.parent_snapshot_id is not None:
        snapshot = table.snapshot_by_id(snapshot.parent_snapshot_id)
        rows = row_count(snapshot)
    return rows
