"""A load that is rejected is not pending, and the next run extracts its rows again."""

from __future__ import annotations

from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import dlt
import pyarrow as pa
import pytest
from dlt.common.schema.exceptions import SchemaCorruptedException
from dlt.pipeline.exceptions import PipelineStepFailed

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidRows

FROM_ID = dlt.sources.incremental("id", initial_value=0)


@dlt.resource(name="orders", write_disposition="append")
def orders(through: int, factor: Decimal = Decimal(1)) -> Any:
    """Orders 1 to `through`, from the cursor on, with an amount of up to 50 digits."""
    cursor = dlt.current.resource_state().get("id", 0)
    dlt.current.resource_state()["id"] = through
    ids = list(range(cursor + 1, through + 1))
    amounts = pa.array([Decimal(i) * factor for i in ids], pa.decimal256(50, 0))
    yield pa.table({"id": ids, "amount": amounts})


@pytest.mark.parametrize("is_new", [True, False], ids=["new directory", "same pipeline"])
def test_rows_that_do_not_fit_their_types_are_extracted_again(run: Any, is_new: bool) -> None:
    pipeline = run.pipeline()
    pipeline.run(orders(2))
    with pytest.raises(PipelineStepFailed) as caught:
        pipeline.run(orders(4, factor=Decimal(10**45)))
    assert isinstance(caught.value.exception, InvalidRows)
    assert "0000" not in str(caught.value.exception)
    assert not pipeline.has_pending_data
    pipeline = run.pipeline() if is_new else pipeline
    pipeline.run(orders(6))
    assert len(run.tables()["orders"]) == 6


def test_rows_that_dlt_cannot_write_are_extracted_again_once_aborted(same: Any) -> None:
    """dlt keeps a package that it cannot normalize, with every destination."""

    @dlt.resource(name="orders")
    def orders_as_dicts(through: int, cursor: Any = FROM_ID) -> Any:
        amount = Decimal("1" * 45) if through == 4 else Decimal(1)
        yield [{"id": i, "amount": amount} for i in range(cursor.last_value + 1, through + 1)]

    def program(run: Any) -> None:
        pipeline = run.pipeline()
        pipeline.run(orders_as_dicts(2))
        for _ in range(2):
            with pytest.raises(PipelineStepFailed):
                pipeline.run(orders_as_dicts(4))
            assert pipeline.has_pending_data
        pipeline.abort_packages()
        pipeline.run(orders_as_dicts(6))

    assert len(same(program)["orders"]) == 6


def test_the_cursor_is_rewound_when_a_pending_package_is_aborted(run: Any) -> None:
    class Unavailable(Exception):
        pass

    is_down = False

    def around(phase: str) -> Any:
        if is_down and phase == "stage":
            raise Unavailable
        return nullcontext()

    pipeline = run.pipeline()
    pipeline.destination = run.open(around_phase=around)
    pipeline.run(orders(2))
    is_down = True
    with pytest.raises(PipelineStepFailed):
        pipeline.run(orders(4))
    assert pipeline.has_pending_data
    pipeline.abort_packages()
    assert not pipeline.has_pending_data
    is_down = False
    pipeline.run(orders(8))
    assert len(run.tables()["orders"]) == 8


def test_a_table_name_may_have_200_characters(same: Any) -> None:
    name = "t" * 200

    def program(run: Any) -> None:
        for n in (1, 2):
            run.pipeline().run([{"id": n}], table_name=name)

    assert len(same(program)[name]) == 2


INVALID: dict[str, Any] = {
    "upsert without a primary key": {
        "write_disposition": {"disposition": "merge", "strategy": "upsert"}
    },
    "insert-only without a primary key": {
        "write_disposition": {"disposition": "merge", "strategy": "insert-only"}
    },
    "two hard_delete columns": {
        "write_disposition": "merge",
        "primary_key": "id",
        "columns": {"a": {"hard_delete": True}, "b": {"hard_delete": True}},
    },
    "two dedup_sort columns": {
        "write_disposition": "merge",
        "primary_key": "id",
        "columns": {"a": {"dedup_sort": "asc"}, "b": {"dedup_sort": "asc"}},
    },
}


@pytest.mark.parametrize("hints", INVALID.values(), ids=INVALID.keys())
def test_invalid_hints_are_rejected_before_anything_is_staged(
    run: Any, oracle: Any, hints: dict[str, Any]
) -> None:
    rows = [{"id": 1, "a": True, "b": False}]
    for target in (oracle, run):
        pipeline = target.pipeline()
        with pytest.raises(PipelineStepFailed) as caught:
            pipeline.run(dlt.resource(rows, name="orders", **hints))
        assert isinstance(caught.value.exception, SchemaCorruptedException)
    assert not pipeline.has_pending_data
    assert run.tables() == {}
    pipeline.run(dlt.resource(rows, name="orders", write_disposition="append"))
    assert len(run.tables()["orders"]) == 1


def test_columns_that_differ_in_case_alone_are_rejected(
    run: Any, oracle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA__NAMING", "direct")
    for target in (oracle, run):
        pipeline = target.pipeline()
        with pytest.raises(PipelineStepFailed) as caught:
            pipeline.run([{"id": 1, "ID": 2}], table_name="orders")
        assert isinstance(caught.value.exception, SchemaCorruptedException)
    assert run.tables() == {}
