"""What an operator does to a table, and what the next load makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.destinations import missing_loads
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


def order(number: int) -> Any:
    return {"id": number, "items": [{"n": number}, {"n": -number}]}


def roll_back(lake: Lake, name: str) -> None:
    table = lake.table(name)
    first = min(table.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
    table.manage_snapshots().rollback_to_snapshot(first.snapshot_id).commit()


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_loads_of_a_rolled_back_table_stay_away_and_are_reported(
    lake: Lake, caplog: pytest.LogCaptureFixture, disposition: Any
) -> None:
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": disposition}
    for number in (1, 2):
        lake.load([{"id": number}], **arguments)
    newest = lake.table("_dlt_loads").scan().to_arrow().sort_by("seq")["load_id"].to_pylist()[-1]
    roll_back(lake, "t")
    lake.load([{"id": 3}], **arguments)
    assert lake.values("t", "id") == [1, 3]
    assert f"`lake.t` was rolled back: it lacks loads {newest}" in caplog.text
    assert missing_loads(Dataset(lake.catalog, "lake"), "t") == [newest]


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "insert-only"])
def test_a_merge_removes_nested_rows_of_roots_that_a_rollback_removed(
    lake: Lake, strategy: str
) -> None:
    merge: Any = {"disposition": "merge", "strategy": strategy}
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": merge}
    for number in (1, 2, 3):
        lake.load([order(number)], **arguments)
    roll_back(lake, "t")
    lake.load([order(2), order(4)], **arguments)
    assert lake.values("t", "id") == [1, 2, 4]
    assert lake.values("t__items", "n") == [-4, -2, -1, 1, 2, 4]
    roots = set(lake.values("t", "_dlt_id"))
    assert set(lake.values("t__items", "_dlt_parent_id")) == roots
