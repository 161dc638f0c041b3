"""The state of a table after a load, read from its snapshot summaries without scanning data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyiceberg.catalog import Catalog
    from pyiceberg.table.snapshots import Snapshot

LOAD_ID_PROPERTY = "dlt.load-id"


@dataclass(frozen=True)
class TableState:
    """The state of a table after a load.

    Attributes:
        total_rows: Rows of the snapshot; None if its writer did not record the count.
        snapshot_id: Snapshot of the load, else the current one; None if there is no snapshot.
        previous_snapshot_id: Snapshot before the load; the same one if the load created none.
    """

    total_rows: int | None
    snapshot_id: int | None
    previous_snapshot_id: int | None


def read_table_state(catalog: Catalog, table: str, load_ids: Collection[str]) -> TableState:
    """Return the state of a table in the snapshot of a load, or in the current one if it has none.

    Args:
        catalog: The catalog.
        table: `namespace.table`.
        load_ids: dlt's ids of the load's packages.
    """
    from pyiceberg.exceptions import NoSuchTableError

    from floe_ingestion_defs.destinations import row_count

    try:
        metadata = catalog.load_table(table).metadata
    except NoSuchTableError:
        return TableState(0, None, None)
    current = metadata.current_snapshot()
    if current is None:
        return TableState(0, None, None)
    snapshot: Snapshot | None = current
    while snapshot is not None and _load_id(snapshot) not in load_ids:
        # Other writers may have committed since, so the load's snapshot may not be the last one.
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else metadata.snapshot_by_id(parent)
    if snapshot is None:
        total = row_count(current)
        return TableState(total, current.snapshot_id, current.snapshot_id)
    total = row_count(snapshot)
    return TableState(total, snapshot.snapshot_id, snapshot.parent_snapshot_id)


def _load_id(snapshot: Snapshot) -> str | None:
    return snapshot.summary.get(LOAD_ID_PROPERTY) if snapshot.summary else None
