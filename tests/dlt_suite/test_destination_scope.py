"""The option `destination_scope` of dlt 1.31: the rows that a merge can delete or retire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from floe_ingestion_defs.destinations.impl.iceberg.changes.condition import (
    ConditionError,
    columns_of,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt_suite.runs import Run

FIRST = [(1, 1), (2, 2), (3, 2), (4, 3), (5, None)]
SECOND = [(2, 2), (6, 2), (1, 5)]


def orders(rows: Any, strategy: str, scope: str | None = None, **hints: Any) -> Any:
    def yielded() -> Any:
        yield dlt.mark.materialize_table_schema()
        yield [{"id": i, "day": d, "items": [{"p": i, "subs": [i]}]} for i, d in rows]

    disposition: Any = {"disposition": "merge", "strategy": strategy}
    if scope is not None:
        disposition["destination_scope"] = scope
    return dlt.resource(
        yielded,
        name="orders",
        columns={"id": {"data_type": "bigint"}, "day": {"data_type": "bigint"}},
        write_disposition=disposition,
        **hints,
    )


HINTS: list[tuple[str, dict[str, Any]]] = [
    ("delete-insert", {}),
    ("delete-insert", {"primary_key": "id"}),
    ("delete-insert", {"primary_key": "id", "merge_key": "day"}),
    ("cdc", {"primary_key": "id"}),
    ("cdc", {"primary_key": "id", "merge_key": "day"}),
    ("scd2", {}),
    ("scd2", {"merge_key": "id"}),
]


@pytest.mark.parametrize(("strategy", "hints"), HINTS)
def test_a_merge_deletes_or_retires_within_its_scope(
    same: Callable[[Any], Any], strategy: str, hints: Any
) -> None:
    first = [(i, day or (9 if "merge_key" in hints else None)) for i, day in FIRST]
    scope = "{table}.DAY >= 2 AND id NOT IN (3)"

    def program(run: Run) -> None:
        run.pipeline().run(orders(first, strategy, **hints))
        run.pipeline().run(orders(SECOND, strategy, scope, **hints))

    assert len(same(program)["orders__items"]) > 2


def test_an_empty_load_deletes_its_scope(same: Callable[[Any], Any]) -> None:
    def program(run: Run) -> None:
        run.pipeline().run(orders(FIRST, "delete-insert", primary_key="id"))
        run.pipeline().run(orders([], "delete-insert", "1 = 1", primary_key="id"))

    assert same(program)["orders"] == []


@pytest.mark.parametrize("scope", ["absent = 1", "CAST(day || 'x' AS BIGINT) = 1"])
def test_a_scope_that_cannot_be_evaluated_is_rejected_before_the_commit(
    run: Run, scope: str
) -> None:
    run.pipeline().run(orders(FIRST, "cdc", primary_key="id"))
    before = run.tables()
    pipeline = run.pipeline()
    with pytest.raises(PipelineStepFailed) as caught:
        pipeline.run(orders(SECOND, "cdc", scope, primary_key="id"))
    assert isinstance(caught.value.exception, InvalidHint)
    assert run.tables() == before
    assert not pipeline.has_pending_data


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("day =", "not valid SQL"),
        ("absent = 1", "no column `absent`"),
        ("day IN (SELECT day FROM merge_rows)", "a subquery"),
        ("EXISTS (SELECT 1)", "a subquery"),
        ("day = max(day)", "an aggregate"),
        ("row_number() OVER () = 1", "a window function"),
        ("random() < day", "`random`"),
        ("now() > day", "`now`"),
        ("today() = day", "`current_date`"),
        ("day < current_timestamp", "`current_timestamp`"),
    ],
)
def test_a_scope_is_a_condition_on_single_rows_that_does_not_change(
    condition: str, reason: str
) -> None:
    """Publication evaluates it per data file, and possibly again."""
    with pytest.raises(ConditionError, match=reason):
        columns_of(condition, ("id", "day"))


def test_the_columns_of_a_condition_are_those_of_the_table() -> None:
    condition = "merge_rows.DAY > 1 AND date_trunc('day', \"At\") = '2024-01-01'"
    assert columns_of(condition, ("id", "day", "at")) == ("at", "day")
