"""Quarantined rows that fit now are loaded once, and leave the quarantine in the same load."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    ErrorCategory,
    IngestionError,
    LoadResult,
    categorize_error,
)

Source = dict[str, Any]
Rows = Callable[[str], list[dict[str, Any]]]
Replay = Callable[..., LoadResult]
Load = Callable[..., LoadResult]


@pytest.fixture
def replay() -> Replay:
    """Replays the quarantined rows of a source."""

    def replay(source: Source) -> LoadResult:
        plugin = DltIngestionPlugin({"sources": [source], "retry_config": {"max_retries": 0}})
        return plugin.replay_quarantined(plugin.source(source["name"]))

    return replay


@pytest.fixture
def strict(files: Source) -> Source:
    """Files whose rows with a new column, or a value of another type, are quarantined."""
    return {
        **files,
        "columns": {"id": "bigint", "amount": "bigint"},
        "schema_contract": "discard_row",
        "quarantine": True,
    }


def with_note(source: Source) -> Source:
    """The source after the cause was repaired for rows with a note."""
    return {**source, "columns": {**source["columns"], "note": "text"}}


@pytest.fixture
def rejected(strict: Source, landing: Path, load: Load) -> Source:
    """One row of each kind: loaded, rejected for its note, rejected for its amount."""
    (landing / "a.csv").write_text("id,amount,note\n1,10,\n2,20,late\n3,lots,\n")
    load(strict)
    return strict


def ids(name: str) -> list[str]:
    return sorted(open_catalog().load_table(name).scan().to_arrow()["_dlt_id"].to_pylist())


def test_rows_that_fit_now_are_loaded_and_the_others_stay_as_they_are(
    rejected: Source, replay: Replay, rows: Rows
) -> None:
    before = {row["reason"]: row for row in rows("bronze.items__rejected")}
    result = replay(with_note(rejected))
    assert result.rows_loaded == 1
    assert rows("bronze.items") == [
        {"id": 1, "amount": 10, "note": None},
        {"id": 2, "amount": 20, "note": "late"},
    ]
    (stays,) = rows("bronze.items__rejected")
    assert stays == before["column amount is bigint, not text"]
    assert dict(result.resources["items"].rejected.rows_by_reason) == {stays["reason"]: 1}


def test_a_second_replay_does_nothing(rejected: Source, replay: Replay, rows: Rows) -> None:
    replay(with_note(rejected))
    left, loaded = ids("bronze.items__rejected"), rows("bronze.items")
    again = replay(with_note(rejected))
    assert (again.rows_loaded, again.load_ids) == (0, [])
    assert (ids("bronze.items__rejected"), rows("bronze.items")) == (left, loaded)


def test_the_source_is_not_read_and_its_next_load_continues_where_it_was(
    rejected: Source, landing: Path, load: Load, replay: Replay, rows: Rows
) -> None:
    landing.rename(landing.with_name("away"))
    replay(with_note(rejected))
    landing.with_name("away").rename(landing)
    (landing / "b.csv").write_text("id,amount,note\n4,40,new\n")
    assert load(with_note(rejected)).rows_loaded == 1
    assert [row["id"] for row in rows("bronze.items")] == [1, 2, 4]
    assert len(rows("bronze.items__rejected")) == 1


def test_the_table_of_rejected_rows_has_columns_of_its_own_only(
    merged: Source, landing: Path, load: Load
) -> None:
    """Neither keys, which the rows would lack, nor partitions are those of the table."""
    (landing / "a.csv").write_text("id,amount,note\n1,10,\n2,20,late\n")
    load({**merged, "partition_by": "id"})
    table = open_catalog().load_table("bronze.items__rejected")
    names = {field.name for field in table.schema().fields if not field.name.startswith("_dlt_")}
    assert names == {"rejected_at", "reason", "row", "nested_table"}
    assert table.spec().is_unpartitioned()


def test_rows_of_a_window_are_rejected_as_others_are(
    strict: Source, landing: Path, load: Load, rows: Rows
) -> None:
    source = {**strict, "cursor_field": "id"}
    (landing / "a.csv").write_text("id,amount,note\n1,10,\n2,20,late\n")
    plugin = DltIngestionPlugin({"sources": [source]})
    for _ in range(2):
        plugin.load(plugin.create_pipeline(plugin.source("files")), start=1, end=3)
    assert [row["id"] for row in rows("bronze.items")] == [1]
    assert {json.loads(row["row"])["id"] for row in rows("bronze.items__rejected")} == {2}


def test_a_source_without_quarantined_rows_has_nothing_to_replay(
    strict: Source, landing: Path, load: Load, replay: Replay, rows: Rows
) -> None:
    assert replay(strict).rows_loaded == 0
    (landing / "a.csv").write_text("id,amount\n1,10\n")
    load(strict)
    assert replay(strict).load_ids == []
    assert rows("bronze.items") == [{"id": 1, "amount": 10}]


def test_rows_are_replayed_into_a_table_that_had_none(
    strict: Source, landing: Path, load: Load, replay: Replay, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,amount,note\n2,20,late\n")
    load(strict)
    replay(with_note(strict))
    assert rows("bronze.items") == [{"id": 2, "amount": 20, "note": "late"}]
    assert rows("bronze.items__rejected") == []


def test_values_have_the_types_of_the_table_again(
    database: Any, shop: Source, load: Load, replay: Replay, rows: Rows
) -> None:
    """They are stored as JSON, which has neither dates nor decimals."""
    source = {**shop, "schema_contract": "discard_row", "quarantine": True}
    load(source)
    first = rows("bronze.shop_orders")[0]
    database.run("ALTER TABLE orders ADD COLUMN extra TEXT")
    database.run(
        "INSERT INTO orders VALUES (3, 9.95, 0.5, '2024-01-01', 'first', 1, "
        "'2024-01-03 10:00:00.000000', 'new')"
    )
    load(source)
    assert len(rows("bronze.shop_orders")) == 2
    result = replay({**source, "columns": {"extra": "text"}})
    assert result.rows_loaded == 1
    last = rows("bronze.shop_orders")[-1]
    same = first.keys() - {"id", "updated_at"}
    assert {name: last[name] for name in same} == {name: first[name] for name in same}
    assert (last["id"], last["extra"]) == (3, "new")
    assert last["updated_at"].day == 3


def test_lists_in_rows_become_nested_rows_and_nested_rows_alone_stay(
    api: Any, items: Source, load: Load, replay: Replay, rows: Rows
) -> None:
    source = {**items, "schema_contract": "discard_row", "quarantine": True}
    api.rows = [{"id": 1, "tags": [{"tag": "a", "size": 1}], "at": "2024-01-01"}]
    load(source)
    api.rows = [
        {"id": 2, "tags": [{"tag": "b", "size": 2}], "more": "x", "at": "2024-01-02"},
        {"id": 3, "tags": [{"tag": "c", "size": 3}, {"tag": "d", "size": "wide"}]},
    ]
    load(source)
    assert [row["tag"] for row in rows("bronze.items__tags")] == ["a", "c"]
    result = replay({**source, "columns": {"more": "text"}})
    assert [row["id"] for row in rows("bronze.items")] == [1, 2, 3]
    assert sorted(row["tag"] for row in rows("bronze.items__tags")) == ["a", "b", "c"]
    (stays,) = rows("bronze.items__rejected")
    assert json.loads(stays["row"]) == {"tag": "d", "size": "wide"}
    assert dict(result.resources["items"].rejected.rows_by_reason) == {
        "an item of table items__tags cannot be replayed without its row": 1
    }


@pytest.fixture
def merged(strict: Source) -> Source:
    return {**strict, "write_mode": "merge", "primary_key": "id"}


def test_a_row_does_not_replace_what_a_later_load_has_loaded_with_its_key(
    merged: Source, landing: Path, load: Load, replay: Replay, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,amount,note\n1,10,old\n2,20,old\n3,30,old\n")
    load(merged)
    (landing / "b.csv").write_text("id,amount,note\n1,11,\n2,21,newer\n")
    load(merged)
    result = replay(with_note(merged))
    assert rows("bronze.items") == [
        {"id": 1, "amount": 11, "note": None},
        {"id": 2, "amount": 21, "note": "newer"},
        {"id": 3, "amount": 30, "note": "old"},
    ]
    assert rows("bronze.items__rejected") == []
    assert result.resources["items"].rejected.superseded == 2


def test_a_row_replaces_what_an_earlier_load_has_loaded_with_its_key(
    merged: Source, landing: Path, load: Load, replay: Replay, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,amount\n1,10\n")
    load(merged)
    (landing / "b.csv").write_text("id,amount,note\n1,11,new\n")
    load(merged)
    replay(with_note(merged))
    assert rows("bronze.items") == [{"id": 1, "amount": 11, "note": "new"}]


def test_the_cursor_decides_which_version_is_newer(
    merged: Source, landing: Path, load: Load, replay: Replay, rows: Rows
) -> None:
    """Within one load, the order of the rows is not known."""
    columns = {"id": "bigint", "amount": "bigint", "version": "bigint"}
    source = {**merged, "columns": columns, "cursor_field": "version"}
    (landing / "a.csv").write_text(
        "id,amount,version,note\n1,10,1,\n1,11,2,newer\n2,20,1,older\n2,21,2,\n"
    )
    load(source)
    replay(with_note(source))
    assert [(row["id"], row["amount"]) for row in rows("bronze.items")] == [(1, 11), (2, 21)]


def test_a_row_stays_where_nothing_says_which_version_is_newer(
    merged: Source, landing: Path, load: Load, replay: Replay, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id,amount,note\n1,10,\n1,11,unknown\n")
    load(merged)
    result = replay(with_note(merged))
    assert [(row["id"], row["amount"]) for row in rows("bronze.items")] == [(1, 10)]
    assert len(rows("bronze.items__rejected")) == 1
    assert result.resources["items"].rejected.rows == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"write_mode": "replace"}, "whose next load reads all rows again"),
        (
            {"write_mode": "merge", "merge_strategy": "scd2"},
            "to which an earlier version of a row cannot be added",
        ),
        (
            {"write_mode": "merge", "merge_key": "id"},
            "of which a single row would replace the whole group",
        ),
        (
            {
                "write_mode": "merge",
                "primary_key": "id",
                "columns": {"gone": {"data_type": "bool", "hard_delete": True}},
            },
            "could restore a row that was deleted since",
        ),
    ],
)
def test_a_resource_whose_rows_cannot_be_loaded_later_is_rejected(
    settings: Source, message: str, files: Source, replay: Replay
) -> None:
    with pytest.raises(IngestionError, match=message) as failed:
        replay({**files, **settings})
    assert categorize_error(failed.value) is ErrorCategory.CONFIGURATION


def test_a_replay_is_not_combined_with_a_refresh(files: Source) -> None:
    plugin = DltIngestionPlugin({"sources": [files]})
    pipeline = plugin.create_pipeline(plugin.source("files"))
    with pytest.raises(IngestionError, match="cannot be combined with refresh"):
        plugin.load(pipeline, replay_quarantined=True, refresh="drop_data")
