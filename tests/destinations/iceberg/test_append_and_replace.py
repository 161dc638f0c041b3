"""Appending and replacing."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import dlt
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake, Row


def orders(rows: list[Row], disposition: Any = "append", **hints: Any) -> Any:
    return dlt.resource(rows, name="orders", write_disposition=disposition, **hints)


def replacing(rows: list[Row], **hints: Any) -> Any:
    return orders(rows, "replace", **hints)


@pytest.mark.also_on_rest
def test_an_append_adds_rows_in_one_snapshot(lake: Lake) -> None:
    """What was there stays, and equal rows are different rows."""
    lake.load(orders([{"id": 1}, {"id": 2}]))
    lake.load(orders([{"id": 2}, {"id": 3}]))
    assert lake.values("orders", "id") == [1, 2, 2, 3]
    assert lake.snapshots("orders") == 2
    summaries = [s.summary for s in lake.table("orders").metadata.snapshots]
    assert [s.operation.value for s in summaries if s] == ["append", "append"]


def test_an_append_of_several_files_is_one_snapshot(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a load become visible together."""
    for step in ("SOURCES", "NORMALIZE"):
        monkeypatch.setenv(f"{step}__DATA_WRITER__FILE_MAX_ITEMS", "10")
        monkeypatch.setenv(f"{step}__DATA_WRITER__BUFFER_MAX_ITEMS", "10")
    lake.load(orders([{"id": n} for n in range(55)]))
    assert len(list(lake.table("orders").scan().plan_files())) > 3
    assert lake.values("orders", "id") == list(range(55))
    assert lake.snapshots("orders") == 1


@pytest.mark.also_on_rest
def test_nothing_new_makes_no_snapshot(lake: Lake) -> None:
    """An empty append leaves the table as it is."""
    lake.load(orders([{"id": 1}]))
    lake.load(orders([]))
    assert lake.snapshots("orders") == 1


@pytest.mark.also_on_rest(all_cases=True)
def test_a_snapshot_names_its_load_and_its_engine(lake: Lake) -> None:
    """The load id in the snapshot is the one in the rows and in the log."""
    info = lake.load(orders([{"id": 1}]))
    snapshot = lake.table("orders").current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary["dlt.load-id"] == info.loads_ids[0]
    assert snapshot.summary["engine-name"] == "floe-ingestion"
    assert snapshot.summary["engine-version"] == version("floe-ingestion-defs")
    assert lake.values("orders", "_dlt_load_id") == info.loads_ids
    (row,) = lake.arrow("_dlt_loads").to_pylist()
    assert (row["load_id"], row["status"], row["schema_name"]) == (info.loads_ids[0], 0, "shop")


@pytest.mark.parametrize(
    "strategy", ["truncate-and-insert", "insert-from-staging", "staging-optimized"]
)
def test_a_replace_is_one_snapshot(
    lake: Lake, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every replace strategy of dlt, no reader sees an empty table in between."""
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", strategy)
    lake.load(replacing([{"id": 1, "tags": ["a"]}, {"id": 2, "tags": ["b", "c"]}]))
    lake.load(replacing([{"id": 3, "tags": ["d"]}]))
    assert lake.values("orders", "id") == [3]
    assert lake.values("orders__tags", "value") == ["d"]
    assert lake.snapshots("orders") == lake.snapshots("orders__tags") == 2


@pytest.mark.also_on_rest
def test_an_empty_replace_empties_the_table_and_those_nested_in_it(lake: Lake) -> None:
    """No nested row is left when its root goes."""
    lake.load(replacing([{"id": 1, "tags": [{"a": ["x"]}]}]))
    lake.load(replacing([]))
    for table in ("orders", "orders__tags", "orders__tags__a"):
        assert lake.rows(table) == []
        assert lake.snapshots(table) == 2


def test_a_replaced_root_without_nested_rows_empties_the_nested_table(lake: Lake) -> None:
    """The nested table of a load that brings none is replaced with nothing."""
    lake.load(replacing([{"id": 1, "tags": ["a"]}]))
    lake.load(replacing([{"id": 2}]))
    assert lake.rows("orders__tags") == []
    assert lake.values("orders", "id") == [2]


def test_appended_rows_are_replaced_too(lake: Lake) -> None:
    """A replace replaces whatever is there, also from several loads."""
    for n in range(3):
        lake.load(orders([{"id": n}]))
    lake.load(replacing([{"id": 9}]))
    assert lake.values("orders", "id") == [9]
    assert lake.snapshots("orders") == 4


def test_a_replace_keeps_columns_that_its_rows_lack(lake: Lake) -> None:
    """Columns are never dropped; their values are null."""
    lake.load(replacing([{"id": 1, "v": "a"}]))
    lake.load(replacing([{"id": 2, "w": 1.5}]))
    assert lake.rows("orders") == [{"id": 2, "v": None, "w": 1.5}]


GUARD = {"replace_min_share": 0.5}


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_the_guard_rejects_replacing_many_rows_with_few(lake: Lake, rows: int) -> None:
    """A source that answers with nothing, or with a part, does not empty a table."""
    lake.load(replacing([{"id": n} for n in range(10)]))
    error = lake.rejected(replacing([{"id": n} for n in range(rows)]), options=GUARD)
    assert isinstance(error, AuditFailed)
    (finding,) = error.findings
    assert finding.table == "lake.orders"
    assert finding.details == {"present_rows": 10, "staged_rows": rows}
    assert len(lake.rows("orders")) == 10
    assert len(lake.rows("_dlt_loads")) == 1


def test_the_guard_lets_a_replace_with_enough_rows_pass(lake: Lake) -> None:
    """The share itself is enough, and a first load has nothing to compare with."""
    lake.load(replacing([{"id": n} for n in range(10)]), options=GUARD)
    lake.load(replacing([{"id": n} for n in range(5)]), options=GUARD)
    assert len(lake.rows("orders")) == 5


def test_the_guard_looks_at_roots_only(lake: Lake) -> None:
    """Rows may lose what is nested in them without the source being broken."""
    lake.load(replacing([{"id": n, "tags": ["a", "b"]} for n in range(4)]), options=GUARD)
    lake.load(replacing([{"id": n, "tags": []} for n in range(4)]), options=GUARD)
    assert lake.rows("orders__tags") == []


def test_the_guard_leaves_appends_alone(lake: Lake) -> None:
    """An append may be of any size."""
    lake.load(orders([{"id": n} for n in range(10)]), options=GUARD)
    lake.load(orders([{"id": 10}]), options=GUARD)
    assert len(lake.rows("orders")) == 11
