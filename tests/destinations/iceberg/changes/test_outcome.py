"""What an audit receives about a table before a load is what the table is after it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import dlt
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.changes.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake

    from floe_ingestion_defs.destinations import Finding, StagedTable

Told = dict[str, Any]

WAYS: dict[str, dict[str, Any]] = {
    "append": {"write_disposition": "append"},
    "replace": {"write_disposition": "replace"},
    "merge by primary key": {
        "write_disposition": {"disposition": "merge", "strategy": "delete-insert"},
        "primary_key": "id",
    },
    "upsert of the newest": {
        "write_disposition": {"disposition": "merge", "strategy": "upsert"},
        "primary_key": "id",
        "columns": {"at": {"dedup_sort": "desc"}},
    },
    "merge by merge key": {"write_disposition": "merge", "merge_key": "day"},
    "hard deletes": {
        "write_disposition": {"disposition": "merge", "strategy": "upsert"},
        "primary_key": "id",
        "columns": {"gone": {"hard_delete": True, "data_type": "bool"}},
    },
    "insert-only": {
        "write_disposition": {"disposition": "merge", "strategy": "insert-only"},
        "primary_key": "id",
    },
    "scd2": {"write_disposition": {"disposition": "merge", "strategy": "scd2"}},
}


def remember(told: Told) -> Any:
    def audit(staged: StagedTable) -> Iterator[Finding]:
        if staged.name == "lake.events":
            outcome = Outcome(staged)
            came = [n for batch in outcome.added_rows(["id"]) for n in batch.column(0).to_pylist()]
            stayed = [
                n for batch in outcome.remaining_rows(["id"]) for n in batch.column(0).to_pylist()
            ]
            told.update(rows=outcome.rows_after, ids=sorted(came + stayed))
            told.update(before=staged.current_rows, may_shrink=outcome.may_shrink)
        yield from ()

    return audit


@pytest.mark.parametrize("way", WAYS)
def test_an_audit_receives_the_table_as_the_load_will_leave_it(lake: Lake, way: str) -> None:
    """The added rows, the remaining rows, and the number of both."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    told: Told = {}
    for _ in range(3):
        rows = [
            {
                "id": chance.randrange(30),
                "day": chance.randrange(4),
                "at": chance.random(),
                "gone": chance.random() < 0.3,
            }
            for _ in range(chance.randrange(1, 25))
        ]
        events = dlt.resource([rows], name="events", **WAYS[way])

        lake.load(events, options={"audits": [remember(told)]})

        found = sorted(lake.arrow("events")["id"].to_pylist())
        assert told["ids"] == found
        assert told["rows"] == len(found)
        assert told["may_shrink"] or len(found) >= told["before"]


def test_an_audit_receives_the_rows_outside_of_a_window(lake: Lake) -> None:
    """Rows in the window are removed, regardless of the rows that replace them."""
    told: Told = {}
    lake.load([{"id": n, "at": n} for n in range(10)], table_name="events")
    window = lake_window(2, 7)

    lake.load(window, options={"audits": [remember(told)]})

    assert told["ids"] == sorted(lake.arrow("events")["id"].to_pylist()) == [0, 1, 2, 3, 7, 8, 9]
    assert (told["rows"], told["may_shrink"]) == (7, True)


def lake_window(lower: int, upper: int) -> Any:
    from floe_ingestion_defs.destinations.impl.iceberg.window import iceberg_window

    events = dlt.resource([{"id": n, "at": n} for n in (2, 3)], name="events")
    return iceberg_window(events, "at", lower, upper)
