"""Random loads leave the same rows as dlt's SQL destination."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import dlt
import pytest

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Compare, Row

SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.all_cases) for seed in range(3, 20))]


def resources(seed: int) -> list[Any]:
    """Four loads of one resource, its hints and rows chosen by the seed."""
    choose = random.Random(seed)
    strategy = choose.choice(["delete-insert", "delete-insert", "upsert", "insert-only"])
    key = choose.choice([["id"], ["id", "part"]])
    hints: Row = {"primary_key": key}
    columns: Row = {}
    if strategy == "delete-insert":
        hints = choose.choice([hints, {"merge_key": "day"}, {**hints, "merge_key": "day"}])
    # In an upsert dlt inserts a row that arrives flagged; here it is not inserted.
    deletes = strategy == "delete-insert" and choose.random() < 0.5
    if deletes:
        columns["gone"] = {"hard_delete": True, "data_type": "bool"}
    if strategy == "delete-insert" and "primary_key" in hints:
        columns["n"] = {"dedup_sort": choose.choice(["asc", "desc"])}
    layout = choose.choice([None, "sort", "partition"])
    if layout:
        columns["day"] = {layout: True}
    nested = choose.random() < 0.6
    unique = "n" not in columns and "primary_key" in hints
    numbers = iter(range(10_000))

    def row(load: int) -> Row:
        made: Row = {
            "id": choose.randrange(12),
            "part": choose.choice("ab"),
            "day": choose.randrange(5),
            "n": next(numbers),
            f"v{choose.randrange(load + 1)}": choose.choice(["x", "y", None]),
        }
        if deletes and choose.random() < 0.3:
            made["gone"] = choose.choice([True, False])
        if nested:
            made["tags"] = [
                {"t": choose.randrange(9), "deep": ["z"] * choose.randrange(3)}
                for _ in range(choose.randrange(3))
            ]
        return made

    loads = []
    for load in range(4):
        rows = [row(load) for _ in range(choose.randrange(1, 14))]
        if unique:  # Which of two remains is undefined.
            rows = list({tuple(r[k] for k in key): r for r in rows}.values())
        disposition: Any = {"disposition": "merge", "strategy": strategy}
        described: Any = columns or None
        loads.append(
            dlt.resource(
                rows,
                name="orders",
                write_disposition=disposition,
                columns=described,
                **hints,
            )
        )
    return loads


@pytest.mark.parametrize("seed", SEEDS)
def test_random_merges_leave_the_same_rows_as_sql(seed: int, same_as_sql: Compare) -> None:
    """Whatever the strategy, keys, flags, layout and nesting."""
    same_as_sql(lambda: resources(seed), "orders")


@pytest.mark.usefixtures("merge_on_read")
@pytest.mark.parametrize("seed", SEEDS)
def test_random_merges_on_read_leave_the_same_rows_as_sql(seed: int, same_as_sql: Compare) -> None:
    """The same where rows are deleted by position."""
    same_as_sql(lambda: resources(100 + seed), "orders")
