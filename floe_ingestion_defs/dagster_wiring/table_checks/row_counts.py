"""Whether a load changed the number of rows by no more than is plausible."""

from typing import TYPE_CHECKING

from floe_ingestion_defs.dagster_wiring.check_settings import RowCountChangeCheck
from floe_ingestion_defs.dagster_wiring.table_checks.finding import Finding

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


def check_row_count_change(table: "Table | None", check: RowCountChangeCheck) -> Finding:
    """Compare the rows of the current snapshot with those of the one before it.

    Args:
        table: The table; None where there is none yet.
        check: The configured shares.
    """
    snapshot = table.current_snapshot() if table is not None else None
    if table is None or snapshot is None or snapshot.parent_snapshot_id is None:
        return Finding(True, "There is no earlier snapshot to compare with.")
    now, before = _rows(snapshot), _rows_before(table, snapshot)
    if now is None or before is None:
        return Finding(True, "The snapshots do not say how many rows they have.")
    metadata = {"rows": now, "rows_before": before, "rows_changed": now - before}
    if before == 0:
        return Finding(True, f"The table was empty and has {now} rows.", metadata)
    share = (now - before) / before
    said = f"{before} rows became {now}, a change by {share:+.1%}."
    too_few = check.max_decrease is not None and share < -check.max_decrease
    too_many = check.max_increase is not None and share > check.max_increase
    return Finding(not (too_few or too_many), said, {**metadata, "share_changed": share})


def _rows(snapshot: "Snapshot | None") -> int | None:
    total = snapshot.summary.get("total-records") if snapshot and snapshot.summary else None
    return None if total is None else int(total)


def _rows_before(table: "Table", snapshot: "Snapshot") -> int | None:
    """Return the rows of the last snapshot before this one that had any.

    Tools that overwrite a table in two commits leave an empty snapshot in between.
    """
    rows: int | None = 0
    parent_id = snapshot.parent_snapshot_id
    while rows == 0 and parent_id is not None:
        parent = table.snapshot_by_id(parent_id)
        rows = _rows(parent)
        parent_id = parent.parent_snapshot_id if parent is not None else None
    return rows
