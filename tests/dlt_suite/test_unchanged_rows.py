"""The option `skip_unchanged_rows` of dlt 1.31: rows that did not change stay as they are."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt_suite.runs import Run

STRATEGIES = ["upsert", "cdc"]
BASE: list[dict[str, Any]] = [
    {"id": 1, "v": "a", "items": [{"p": 1, "subs": [1, 2]}, {"p": 2}]},
    {"id": 2, "v": None, "items": [{"p": 3}]},
    {"id": 3, "v": "c", "items": []},
]


def orders(rows: Any, strategy: str, **options: Any) -> Any:
    hints = {"primary_key": "id", "columns": options.pop("columns", {})}
    disposition: Any = {"disposition": "merge", "strategy": strategy, "skip_unchanged_rows": True}
    disposition.update(options)
    return dlt.resource(rows, name="orders", write_disposition=disposition, **hints)


def load(run: Run, *loads: Any) -> None:
    for resource in loads:
        run.pipeline().run(resource)


def heads(run: Run) -> dict[str, Any]:
    """Return the newest snapshot of each table that is not dlt's own."""
    catalog = open_catalog()
    tables = {name: catalog.load_table((run.dataset, name)) for name in run.tables()}
    return {name: table.metadata.current_snapshot_id for name, table in tables.items()}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_load_in_which_nothing_changed_makes_no_snapshot(run: Run, strategy: str) -> None:
    load(run, orders(BASE, strategy))
    before, rows = heads(run), run.arrow_tables()
    load(run, orders(BASE, strategy))
    assert heads(run) == before
    assert run.arrow_tables() == rows


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_unchanged_rows_keep_the_load_that_they_came_with(
    same: Callable[[Any], Any], strategy: str
) -> None:
    changed = [BASE[0], {**BASE[1], "v": "b"}, {"id": 4, "v": "d", "items": [{"p": 4}]}]

    def program(run: Run) -> dict[str, Any]:
        load(run, orders(BASE, strategy), orders(changed, strategy))
        return loads_of(run)

    same(program)


def loads_of(run: Run) -> dict[str, int]:
    """Return the number of the load that each row came with, by its key."""
    rows = run.arrow_tables()["orders"].to_pylist()
    loads = sorted({row["_dlt_load_id"] for row in rows})
    return {row["id"]: loads.index(row["_dlt_load_id"]) for row in rows}


@pytest.mark.parametrize(
    ("strategy", "items"),
    [
        ("upsert", [{"p": 1, "subs": [1, 5]}, {"p": 2}]),
        ("upsert", []),
        ("cdc", [{"p": 9, "subs": [1, 2]}]),
        ("cdc", [{"p": 2}, {"p": 1}]),
    ],
)
def test_nested_rows_change_where_their_root_does_not(
    same: Callable[[Any], Any], strategy: str, items: Any
) -> None:
    def program(run: Run) -> dict[str, Any]:
        load(run, orders(BASE, strategy))
        load(run, orders([{**BASE[0], "items": items}, *BASE[1:]], strategy))
        return loads_of(run)

    same(program)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_row_version_decides_alone(same: Callable[[Any], Any], strategy: str) -> None:
    first = [{"id": 1, "v": "a", "n": 1}, {"id": 2, "v": "b", "n": 1}]
    second = [{"id": 1, "v": "ignored", "n": 1}, {"id": 2, "v": "b", "n": 2}]
    option = {"row_version_column_name": "n"}

    def program(run: Run) -> dict[str, Any]:
        load(run, orders(first, strategy, **option), orders(second, strategy, **option))
        return loads_of(run)

    assert "'a'" in str(same(program))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_flagged_row_is_deleted_where_it_is_unchanged(
    same: Callable[[Any], Any], strategy: str
) -> None:
    columns = {"gone": {"data_type": "bool", "hard_delete": True}}
    rows: list[dict[str, Any]] = [{"id": n, "v": "a", "gone": False} for n in range(3)]
    flagged = [{**rows[0], "gone": True}, *rows[1:]]

    def program(run: Run) -> None:
        load(run, orders(rows, strategy, columns=columns))
        load(run, orders(flagged, strategy, columns=columns))

    assert len(same(program)["orders"]) == 2


def test_a_column_that_comes_or_goes_is_a_change(same: Callable[[Any], Any]) -> None:
    wide = [{**row, "w": 1} for row in BASE[:2]]

    def program(run: Run) -> dict[str, Any]:
        for rows in (BASE, wide, BASE[:2], BASE[:2]):
            load(run, orders(rows, "upsert"))
        return loads_of(run)

    same(program)


def test_a_row_that_was_appended_gets_the_key_of_its_nested_rows(run: Run) -> None:
    """Its row key is random then, and those of its nested rows follow from the primary key."""
    rows = [{"id": n, "v": n, "items": [n, n]} for n in range(3)]
    load(run, dlt.resource(rows, name="orders", primary_key="id"), orders(rows, "upsert"))
    tables = run.arrow_tables()
    keys = set(tables["orders"]["_dlt_id"].to_pylist())
    assert set(tables["orders__items"]["_dlt_parent_id"].to_pylist()) <= keys
    before = heads(run)
    load(run, orders(rows, "upsert"))
    assert heads(run) == before


def test_values_of_arrow_types_are_compared_as_by_is_distinct_from(run: Run) -> None:
    rows = pa.table(
        {
            "id": [1, 2, 3],
            "f": [nan, 0.0, None],
            "l": [[1, None], [], None],
            "s": [{"a": 1}, None, {"a": None}],
            "b": [b"", None, b"\x00"],
        }
    )
    load(run, orders(rows, "upsert"))
    before = heads(run)
    load(run, orders(rows.set_column(1, "f", pa.array([nan, -0.0, None])), "upsert"))
    assert heads(run) == before
    lists = pa.array([[1, 2], [], None], rows.schema.field("l").type)
    load(run, orders(rows.set_column(2, "l", lists), "upsert"))
    assert run.arrow_tables()["orders"].sort_by("id")["l"].to_pylist() == [[1, 2], [], None]


def test_the_guard_of_replacements_counts_unchanged_rows(run: Run) -> None:
    load(run, orders(BASE, "cdc"))
    destination = run.open(replace_min_share=0.9)
    guarded = dlt.pipeline("guarded", destination=destination, dataset_name=run.dataset)
    guarded.run(orders(BASE, "cdc"))
    assert len(run.tables()["orders"]) == 3
