"""A source through the plugin, on each stack: all write modes, incremental, and a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.dlt_plugin import ErrorCategory, SchemaContractViolation

if TYPE_CHECKING:
    from end_to_end.stacks.conftest import Shop

COLUMNS = "id integer, name text"
FIRST = [(1, "one"), (2, "two")]
SECOND = [(2, "TWO"), (3, "three")]

# What the table holds after the source had the first rows, then the second.
MODES: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "append": ({"write_mode": "append"}, [(1, "one"), (2, "TWO"), (2, "two"), (3, "three")]),
    "replace": ({"write_mode": "replace"}, [(2, "TWO"), (3, "three")]),
    "upsert": (
        {"write_mode": "merge", "merge_strategy": "upsert", "primary_key": "id"},
        [(1, "one"), (2, "TWO"), (3, "three")],
    ),
    "delete-insert": (
        {"write_mode": "merge", "merge_strategy": "delete-insert", "merge_key": "id"},
        [(1, "one"), (2, "TWO"), (3, "three")],
    ),
    "insert-only": (
        {"write_mode": "merge", "merge_strategy": "insert-only", "primary_key": "id"},
        [(1, "one"), (2, "two"), (3, "three")],
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_each_write_mode_leaves_its_documented_rows(shop: Shop, mode: str) -> None:
    """Two loads, of which the second meets rows of the first, in one snapshot each."""
    shop.options, expected = MODES[mode]
    for rows in (FIRST, SECOND):
        shop.hold(COLUMNS, *rows)
        assert shop.load().rows_loaded == 2
    assert shop.rows("id", "name") == expected
    assert len(shop.table.snapshots()) == 2


def test_scd2_keeps_the_earlier_versions(shop: Shop) -> None:
    """A row that is gone or different is retired at the timestamp at which its successor begins."""
    shop.options = {"write_mode": "merge", "merge_strategy": "scd2"}
    for rows in (FIRST, SECOND):
        shop.hold(COLUMNS, *rows)
        shop.load()
    versions = {
        (i, name): (begin, end)
        for i, name, begin, end in shop.rows("id", "name", "_dlt_valid_from", "_dlt_valid_to")
    }
    assert versions.keys() == {*FIRST, *SECOND}
    moment = versions[3, "three"][0]
    assert [versions[row][1] for row in FIRST] == [moment, moment]
    assert [versions[row] for row in SECOND] == [(moment, None), (moment, None)]


def test_a_window_is_overwritten_as_often_as_it_is_loaded(shop: Shop) -> None:
    """Its rows are those that the source has by now; the others, and the cursor, stay."""
    shop.options = {"cursor_field": "at", "columns": {"at": "timestamp"}}
    columns = "id integer, at timestamp"
    day = "2026-01-{:02} 12:00:00.000000".format
    shop.hold(columns, *((n, day(n)) for n in range(1, 6)))
    shop.load()
    shop.hold(columns, (1, day(1)), (30, day(3)), (5, day(5)), (6, day(6)))
    for _ in range(2):
        shop.load(start="2026-01-02T00:00:00Z", end="2026-01-05T00:00:00Z")
    assert shop.rows("id") == [(1,), (30,), (5,)]
    assert shop.load().rows_loaded == 1
    assert shop.rows("id") == [(1,), (30,), (5,), (6,)]


def test_an_incremental_load_brings_what_is_new_and_nothing_makes_no_snapshot(shop: Shop) -> None:
    """The cursor lives in the catalog: every load here has a new working directory."""
    shop.options = {"cursor_field": "id"}
    loaded = []
    for last in (2, 5, 5):
        shop.hold(COLUMNS, *((n, "any") for n in range(1, last + 1)))
        loaded.append(shop.load().rows_loaded)
    assert loaded == [2, 3, 0]
    assert shop.rows("id") == [(n,) for n in range(1, 6)]
    assert len(shop.table.snapshots()) == 2


def test_a_frozen_table_is_untouched_by_a_source_that_breaks_the_contract(shop: Shop) -> None:
    """Table, schema and cursor are as they were, and the repaired source loads what it missed."""
    shop.options = {"schema_contract": "freeze", "cursor_field": "id"}
    shop.hold(COLUMNS, *FIRST)
    shop.load()
    before = shop.table.metadata
    shop.hold(f"{COLUMNS}, surprise text", *((*row, "!") for row in (*FIRST, (3, "three"))))
    with pytest.raises(SchemaContractViolation, match="surprise") as rejected:
        shop.load()
    assert rejected.value.category is ErrorCategory.PERMANENT
    assert shop.table.metadata == before
    shop.hold(COLUMNS, *FIRST, (3, "three"))
    assert shop.load().rows_loaded == 1
    assert shop.rows("id") == [(1,), (2,), (3,)]
