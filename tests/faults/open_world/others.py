"""What other writers and operators do to tables, by pyiceberg and without this project's help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.types import LongType, StringType

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


def append(table: Table, ids: tuple[int, ...], by: str) -> None:
    """Append rows."""
    schema = table.schema().as_arrow()
    columns: dict[str, Any] = {}
    for column in schema:
        if column.name == "id":
            columns["id"] = list(ids)
        elif column.name == "by":
            columns["by"] = [by for _ in ids]
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            columns[column.name] = [f"{by}-{n}" for n in ids]
        else:
            columns[column.name] = [None for _ in ids]
    table.append(pa.table(columns, schema=schema))


def delete(table: Table, ids: tuple[int, ...]) -> None:
    """Delete rows, copy-on-write."""
    table.delete(f"id in ({', '.join(map(str, ids))})")


def compact(table: Table) -> None:
    """Rewrite all data files into one, in one snapshot."""
    table.overwrite(table.scan().to_arrow())


def expire(table: Table) -> None:
    """Expire every snapshot but the current one."""
    current = table.current_snapshot()
    old = [s.snapshot_id for s in table.metadata.snapshots if s is not current]
    protected = {ref.snapshot_id for ref in table.metadata.refs.values()}
    if expired := [snapshot for snapshot in old if snapshot not in protected]:
        table.maintenance.expire_snapshots().by_ids(expired).commit()


def roll_back(table: Table) -> None:
    """Roll the table back by one snapshot."""
    current = table.current_snapshot()
    known = {s.snapshot_id for s in table.metadata.snapshots}
    if current and current.parent_snapshot_id in known:
        table.manage_snapshots().set_current_snapshot(current.parent_snapshot_id).commit()


def roll_the_log_back(log: Table) -> None:
    """Roll the log back to before its newest row, past the snapshots without rows."""
    counts = {s.snapshot_id: _rows(s) for s in log.metadata.snapshots}
    current = log.current_snapshot()
    if current and (before := [i for i, n in counts.items() if n == _rows(current) - 1]):
        log.manage_snapshots().set_current_snapshot(before[-1]).commit()


def _rows(snapshot: Snapshot) -> int:
    return int(snapshot.summary["total-records"] or 0) if snapshot.summary else 0


def unset_properties(table: Table) -> None:
    """Unset the watermark and the name mapping."""
    names = [
        name
        for name in table.properties
        if name.startswith("dlt.") or name == "schema.name-mapping.default"
    ]
    if names:
        with table.transaction() as transaction:
            transaction.remove_properties(*names)


def set_property(table: Table) -> None:
    """Set a property of another engine."""
    with table.transaction() as transaction:
        transaction.set_properties({"other.engine": "1"})


def add_column(table: Table) -> None:
    """Add a column that no load has."""
    with table.update_schema() as update:
        update.add_column(new_name(table), StringType())


def drop_column(table: Table) -> None:
    """Drop a column that every load has."""
    if "note" in table.schema().column_names:
        with table.update_schema() as update:
            update.delete_column("note")


def rename_column(table: Table) -> None:
    """Rename a column that every load has."""
    if "note" in table.schema().column_names:
        with table.update_schema() as update:
            update.rename_column("note", new_name(table))


def new_name(table: Table) -> str:
    """Return the name that the next column gets."""
    return f"other_{table.metadata.last_column_id}"


def spoil_column(table: Table) -> None:
    """Make a column one that no load's rows fit."""
    drop_column(table)
    table.refresh()
    with table.update_schema() as update:
        update.add_column("note", LongType())


def is_spoilt(table: Table) -> bool:
    """Return whether the loads' rows fit the table's columns no more."""
    names = table.schema().column_names
    return "note" in names and isinstance(table.schema().find_type("note"), LongType)


def delete_newest_log_row(log: Table) -> None:
    """Delete the newest row of the log, copy-on-write."""
    seqs = log.scan(selected_fields=("seq",)).to_arrow()["seq"]
    if len(seqs):
        log.delete(f"seq = {pc.max(seqs).as_py()}")


def undo(table: Table, snapshot_id: int) -> None:
    """Make a snapshot the current one again."""
    table.manage_snapshots().set_current_snapshot(snapshot_id).commit()


MAINTENANCE = [compact, expire, unset_properties, set_property]
COLUMN_ACTIONS = [add_column, drop_column, rename_column, spoil_column]
DAMAGES = [roll_the_log_back, delete_newest_log_row]
BETWEEN = [roll_back, unset_properties]
