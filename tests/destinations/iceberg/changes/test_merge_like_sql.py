"""Merges leave the same rows as dlt's own SQL destination, after every load."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pytest

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from destinations.iceberg.conftest import Compare, Row


@dataclass(frozen=True)
class Scenario:
    """Loads of one resource, one after the other."""

    loads: tuple[list[Row], ...]
    hints: dict[str, Any]
    columns: dict[str, Any] = field(default_factory=dict)

    def resources(self, name: str = "orders") -> list[Any]:
        columns: Any = self.columns or None
        disposition: Any = {"disposition": "merge", "strategy": self.hints["strategy"]}
        return [
            dlt.resource(
                rows,
                name=name,
                columns=columns,
                write_disposition=disposition,
                **{k: v for k, v in self.hints.items() if k != "strategy"},
            )
            for rows in self.loads
        ]


def order(number: Any, **columns: Any) -> Row:
    return {"id": number, **columns}


def with_lines(number: int, *lines: tuple[str, list[str]], **columns: Any) -> Row:
    """A row with nested rows, two levels deep."""
    nested = [{"sku": sku, "tags": [{"tag": tag} for tag in tags]} for sku, tags in lines]
    return order(number, lines=nested, **columns)


FLAT = (
    [order(1, v="a"), order(2, v="b"), order(3, v="c")],
    [order(2, v="B"), order(4, v="d")],
    [order(1, v="A"), order(2, v="BB"), order(5, v=None)],
)
NESTED = (
    [with_lines(1, ("x", ["p", "q"]), ("y", [])), with_lines(2, ("z", ["r"])), with_lines(3)],
    [with_lines(1, ("x", ["q"])), with_lines(2), with_lines(4, ("w", ["s", "t"]))],
    [with_lines(3, ("v", ["u"])), with_lines(4, ("w", ["t"]), ("w2", []))],
)
HARD_DELETE = {"gone": {"hard_delete": True, "data_type": "bool"}}
HARD_DELETE_AT = {"gone_at": {"hard_delete": True, "data_type": "timestamp"}}
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

SCENARIOS = {
    "delete-insert": Scenario(FLAT, {"strategy": "delete-insert", "primary_key": "id"}),
    "upsert": Scenario(FLAT, {"strategy": "upsert", "primary_key": "id"}),
    "insert-only": Scenario(FLAT, {"strategy": "insert-only", "primary_key": "id"}),
    "delete-insert, nested": Scenario(NESTED, {"strategy": "delete-insert", "primary_key": "id"}),
    "upsert, nested": Scenario(NESTED, {"strategy": "upsert", "primary_key": "id"}),
    "insert-only, nested": Scenario(NESTED, {"strategy": "insert-only", "primary_key": "id"}),
    "composite key": Scenario(
        (
            [{"a": 1, "b": "x", "v": 1}, {"a": 1, "b": "y", "v": 2}, {"a": 2, "b": "x", "v": 3}],
            [{"a": 1, "b": "y", "v": 20}, {"a": 2, "b": "y", "v": 4}],
        ),
        {"strategy": "delete-insert", "primary_key": ["a", "b"]},
    ),
    "composite key, nested": Scenario(
        (
            [{"a": 1, "b": "x", "k": [1, 2]}, {"a": 1, "b": "y", "k": [3]}],
            [{"a": 1, "b": "y", "k": [30, 31]}, {"a": 2, "b": "x", "k": [4]}],
        ),
        {"strategy": "delete-insert", "primary_key": ["a", "b"]},
    ),
    "composite key, upsert": Scenario(
        (
            [{"a": 1, "b": "x", "k": [1, 2]}, {"a": 1, "b": "y", "k": [3]}],
            [{"a": 1, "b": "y", "k": [30, 31]}, {"a": 2, "b": "x", "k": [4]}],
        ),
        {"strategy": "upsert", "primary_key": ["a", "b"]},
    ),
    "merge key": Scenario(
        (
            [{"day": 1, "v": 1}, {"day": 1, "v": 2}, {"day": 2, "v": 3}],
            [{"day": 1, "v": 10}],
            [{"day": 2, "v": 4}, {"day": 3, "v": 5}, {"day": 3, "v": 5}],
        ),
        {"strategy": "delete-insert", "merge_key": "day"},
    ),
    "merge key, nested": Scenario(
        (
            [{"day": 1, "v": [1, 2]}, {"day": 1, "v": [2]}, {"day": 2, "v": [3]}],
            [{"day": 1, "v": [10]}],
        ),
        {"strategy": "delete-insert", "merge_key": "day"},
    ),
    "primary and merge key": Scenario(
        (
            [{"id": 1, "day": 1, "v": "a"}, {"id": 2, "day": 1, "v": "b"},
             {"id": 3, "day": 2, "v": "c"}, {"id": 4, "day": 3, "v": "d"}],
            [{"id": 3, "day": 1, "v": "C"}, {"id": 5, "day": 4, "v": "e"}],
        ),
        {"strategy": "delete-insert", "primary_key": "id", "merge_key": "day"},
    ),
    "primary and merge key, nested": Scenario(
        (
            [{"id": 1, "day": 1, "v": ["a"]}, {"id": 2, "day": 1, "v": ["b", "b2"]},
             {"id": 3, "day": 2, "v": ["c"]}, {"id": 4, "day": 3, "v": ["d"]}],
            [{"id": 3, "day": 1, "v": ["C"]}, {"id": 5, "day": 4, "v": ["e"]}],
        ),
        {"strategy": "delete-insert", "primary_key": "id", "merge_key": "day"},
    ),
    "hard delete by a bool": Scenario(
        (
            [order(1, v="a"), order(2, v="b", gone=False), order(3, v="c")],
            [order(1, v="a2", gone=True), order(2, v="b2"), order(4, v="d", gone=False)],
            [order(2, gone=True), order(3, v="c3", gone=False)],
        ),
        {"strategy": "delete-insert", "primary_key": "id"},
        HARD_DELETE,
    ),
    "hard delete by a timestamp": Scenario(
        (
            [order(1, v="a"), order(2, v="b")],
            [order(1, v="a", gone_at=MOMENT), order(3, v="c", gone_at=MOMENT), order(4, v="d")],
        ),
        {"strategy": "delete-insert", "primary_key": "id"},
        HARD_DELETE_AT,
    ),
    "hard delete, nested": Scenario(
        (
            [with_lines(1, ("x", ["p"])), with_lines(2, ("y", ["q"]))],
            [with_lines(1, ("x", ["p"]), gone=True), with_lines(3, ("z", ["r"]), gone=False),
             with_lines(4, ("w", ["s"]), gone=True)],
        ),
        {"strategy": "delete-insert", "primary_key": "id"},
        HARD_DELETE,
    ),
    "hard delete by upsert": Scenario(
        (
            [with_lines(1, ("x", ["p"])), with_lines(2, ("y", ["q"])), with_lines(3, ("z", []))],
            [with_lines(1, gone=True), with_lines(3, ("z", ["n"]), gone=False)],
        ),
        {"strategy": "upsert", "primary_key": "id"},
        HARD_DELETE,
    ),
    "hard delete without any key": Scenario(
        ([order(1, v="a"), order(2, v="b")], [order(1, v="a", gone=True), order(3, v="c")]),
        {"strategy": "delete-insert"},
        HARD_DELETE,
    ),
    "no key at all": Scenario(
        ([order(1, v="a")], [order(1, v="a"), order(2, v="b")]), {"strategy": "delete-insert"}
    ),
    "hard delete by merge key": Scenario(
        (
            [order(1, day=1, v=[1]), order(2, day=1, v=[2]), order(3, day=2, v=[3])],
            [order(1, day=1, v=[1], gone=True), order(2, day=1, v=[20])],
        ),
        {"strategy": "delete-insert", "merge_key": "day"},
        HARD_DELETE,
    ),
    "dedup sort, descending": Scenario(
        (
            [order(1, n=1), order(1, n=3), order(1, n=2), order(2, n=5)],
            [order(1, n=2), order(1, n=1), order(3, n=1), order(3, n=None)],
        ),
        {"strategy": "delete-insert", "primary_key": "id"},
        {"n": {"dedup_sort": "desc"}},
    ),
    "dedup sort, ascending": Scenario(
        (
            [order(1, n=2), order(1, n=1), order(1, n=3), order(2, n=5)],
            [order(1, n=2), order(1, n=9), order(3, n=4), order(3, n=None)],
        ),
        {"strategy": "delete-insert", "primary_key": "id"},
        {"n": {"dedup_sort": "asc"}},
    ),
    "dedup sort, nested": Scenario(
        (
            [with_lines(1, ("old", ["p"]), n=1), with_lines(1, ("new", ["q", "r"]), n=2)],
            [with_lines(1, ("newer", ["s"]), n=4), with_lines(1, ("late", []), n=3)],
        ),
        {"strategy": "delete-insert", "primary_key": "id"},
        {"n": {"dedup_sort": "desc"}},
    ),
    "dedup sort and hard delete": Scenario(
        (
            [order(1, n=1), order(1, n=2, gone=True), order(2, n=1, gone=True), order(2, n=2)],
            [order(2, n=5, gone=True), order(2, n=4), order(3, n=1)],
        ),
        {"strategy": "delete-insert", "primary_key": "id"},
        {"n": {"dedup_sort": "desc"}, **HARD_DELETE},
    ),
    "a column that comes later": Scenario(
        ([order(1, v="a"), order(2, v="b")], [order(2, v="B", w=2.5), order(3, w=3.5)]),
        {"strategy": "delete-insert", "primary_key": "id"},
    ),
    "a column that comes later, upsert": Scenario(
        ([order(1, v="a"), order(2, v="b")], [order(2, v="B", w=2.5), order(3, w=3.5)]),
        {"strategy": "upsert", "primary_key": "id"},
    ),
    "a nested table that comes later": Scenario(
        ([order(1), order(2)], [with_lines(2, ("x", ["p"])), with_lines(3, ("y", []))],
         [order(2), with_lines(3, ("y", ["z"]))]),
        {"strategy": "delete-insert", "primary_key": "id"},
    ),
    "the key is called otherwise in the source": Scenario(
        ([{"Order ID": 1, "theValue": 1}], [{"Order ID": 1, "theValue": 2}]),
        {"strategy": "upsert", "primary_key": "Order ID"},
    ),
}  # fmt: skip

KEYS: dict[str, Callable[[int], Any]] = {
    "integer": lambda n: n,
    "text": lambda n: f"key-{n}é",
    # Iceberg keeps the first 16 characters of a bound.
    "long text": lambda n: f"{'x' * 40}{n}",
    "decimal": lambda n: Decimal(n) / 4,
    "date": lambda n: date(2026, 1, 1 + n),
    "timestamp": lambda n: datetime(2026, 1, 1, n, tzinfo=UTC),
    "double": lambda n: n / 8,
    "binary": lambda n: bytes([0, n, 255]),
}


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_merge_leaves_the_same_rows_as_dlt_s_sql_destination(
    name: str, same_as_sql: Compare
) -> None:
    """After every load the rows, and the rows nested in them, equal those in DuckDB."""
    same_as_sql(SCENARIOS[name].resources, "orders")


@pytest.mark.usefixtures("merge_on_read")
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_merge_on_read_leaves_the_same_rows_as_dlt_s_sql_destination(
    name: str, same_as_sql: Compare
) -> None:
    """The same where rows are deleted by position."""
    same_as_sql(SCENARIOS[name].resources, "orders")


@pytest.mark.parametrize(
    "strategy",
    [
        "delete-insert",
        pytest.param("upsert", marks=pytest.mark.all_cases),
        pytest.param("insert-only", marks=pytest.mark.all_cases),
    ],
)
def test_a_key_may_have_any_type(strategy: str, same_as_sql: Compare) -> None:
    """Keys match by value, whichever type they have; each type has a table of its own."""

    def make_loads() -> list[Any]:
        scenarios = {
            kind.replace(" ", "_"): Scenario(
                (
                    [order(key(n), v=n) for n in (1, 2, 3)],
                    [order(key(n), v=n * 10) for n in (2, 4)],
                ),
                {"strategy": strategy, "primary_key": "id"},
            )
            for kind, key in KEYS.items()
        }
        resources = [scenario.resources(name) for name, scenario in scenarios.items()]
        return [list(load) for load in zip(*resources, strict=True)]

    same_as_sql(make_loads, *(kind.replace(" ", "_") for kind in KEYS))


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert"])
def test_a_bool_may_be_part_of_a_key(strategy: str, same_as_sql: Compare) -> None:
    """A flag tells two rows of one number apart."""
    loads = (
        [order(1, open=True, v=1), order(1, open=False, v=2)],
        [order(1, open=False, v=20), order(2, open=True, v=3)],
    )
    hints = {"strategy": strategy, "primary_key": ["id", "open"]}
    same_as_sql(Scenario(loads, hints).resources, "orders")
