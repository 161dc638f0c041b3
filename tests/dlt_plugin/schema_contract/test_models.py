"""A pydantic model as `columns` of a resource is part of the contract of its table."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from pydantic import BaseModel, Field, field_validator

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    ErrorCategory,
    LoadResult,
    SchemaContractViolation,
)

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]
NAME = "Jane Doe"


class Order(BaseModel):
    id: int
    amount: int = Field(ge=0)
    note: str | None = None
    scores: dict[str, int] | None = None

    @field_validator("note")
    @classmethod
    def _is_no_name(cls, value: str | None) -> str | None:
        if value == NAME:
            msg = f"{value} is a name"
            raise ValueError(msg)
        return value


ROWS: list[dict[str, Any]] = [{"id": 1, "amount": 5}]


@dlt.resource(name="order", columns=Order, primary_key="id")
def order() -> Iterator[Any]:
    yield ROWS


@dlt.resource(name="order", columns=Order)
def order_by_order() -> Iterator[Any]:
    yield from ROWS


@dlt.resource(name="order", columns=Order, schema_contract={"data_type": "discard_row"})
def order_that_drops_rows() -> Iterator[Any]:
    yield ROWS


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return {
        "name": "orders",
        "source_type": "python",
        "source_config": {"factory": "test_models:order", "resource_names": ["order"]},
        "destination_table": "bronze.{resource}",
    }


@pytest.fixture
def offer(orders: Source, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Any]], None]:
    """Set the rows of the source; the plugin imports this file under another name."""
    import importlib

    module = importlib.import_module("test_models")
    return lambda rows: monkeypatch.setattr(module, "ROWS", rows)


INVALID = {
    "rule": ({"id": 2, "amount": -77123}, "field amount: Input should be greater than or equal"),
    "type": ({"id": 2, "amount": NAME}, "field amount: Input should be a valid integer"),
    "missing": ({"id": 2}, "field amount: Field required"),
    "own rule": ({"id": 2, "amount": 1, "note": NAME}, "field note: value_error"),
    "nested": ({"id": 2, "amount": 1, "scores": {NAME: "x"}}, "field scores: Input should be"),
}


@pytest.mark.parametrize("factory", ["order", "order_by_order"])
@pytest.mark.parametrize("kind", INVALID)
def test_a_violation_names_model_field_and_reason(
    kind: str, factory: str, orders: Source, offer: Any, load: Load, tables: Callable[[], set[str]]
) -> None:
    row, reason = INVALID[kind]
    orders["source_config"]["factory"] = f"test_models:{factory}"
    offer([{"id": 1, "amount": 1}, row])
    with pytest.raises(SchemaContractViolation) as failed:
        load(orders)
    violation = failed.value
    assert f"model Order: {reason}" in violation.message
    assert violation.category is ErrorCategory.PERMANENT
    assert (violation.table, violation.expected) == ("order", "model Order")
    assert violation.column == reason.split()[1].rstrip(":")
    assert NAME not in str(violation)
    assert "77123" not in str(violation)
    assert violation.__suppress_context__
    assert tables() == set()


def test_the_value_is_shown_where_the_source_allows_it(
    orders: Source, offer: Any, load: Load
) -> None:
    offer([{"id": 1, "amount": -77123}])
    with pytest.raises(SchemaContractViolation, match="77123"):
        load({**orders, "show_values": True})


def test_freeze_enforces_the_model_and_its_fields(orders: Source, offer: Any, load: Load) -> None:
    frozen = {**orders, "schema_contract": "freeze"}
    for row in ({"id": 1, "amount": -1}, {"id": 1, "amount": 1, "more": 1}):
        offer([row])
        with pytest.raises(SchemaContractViolation, match=r"field (amount|more): "):
            load(frozen)


@pytest.mark.parametrize("is_own", [True, False])
def test_rejected_rows_are_counted_and_quarantined(
    is_own: bool, orders: Source, offer: Any, load: Load, rows: Rows
) -> None:
    contract = {} if is_own else {"schema_contract": "discard_row"}
    if is_own:
        orders["source_config"]["factory"] = "test_models:order_that_drops_rows"
    offer([{"id": 1, "amount": 1}, INVALID["rule"][0], INVALID["own rule"][0]])
    result = load({**orders, **contract, "quarantine": True})
    rejected = result.resources["order"].rejected
    assert (result.rows_loaded, rejected.rows) == (1, 2)
    assert dict(rejected.rows_by_reason) == {
        "model Order: field amount: Input should be greater than or equal to 0": 1,
        "model Order: field note: value_error": 1,
    }
    assert [row["id"] for row in rows("bronze.order")] == [1]
    stored = [json.loads(row["row"]) for row in rows("bronze.order__rejected")]
    assert stored == [INVALID["rule"][0], INVALID["own rule"][0]]


def test_values_are_dropped_unless_their_field_is_required(
    orders: Source, offer: Any, load: Load, rows: Rows
) -> None:
    offer([{"id": 1, "amount": 1, "more": 1}, INVALID["own rule"][0], INVALID["rule"][0]])
    result = load({**orders, "schema_contract": "discard_value"})
    rejected = result.resources["order"].rejected
    assert dict(rejected.values_by_column) == {"more": 1, "note": 1}
    assert rejected.rows == 1
    assert [row["id"] for row in rows("bronze.order")] == [1, 2]


def test_evolve_accepts_what_the_model_does_not(
    orders: Source, offer: Any, load: Load, rows: Rows
) -> None:
    offer([{"id": 1, "amount": -1, "more": 1}])
    load({**orders, "schema_contract": "evolve"})
    assert rows("bronze.order")[0]["more"] == 1


def test_a_replay_leaves_rows_that_a_model_rejected(
    orders: Source, offer: Any, load: Load, rows: Rows
) -> None:
    source = {**orders, "schema_contract": "discard_row", "quarantine": True}
    offer([{"id": 1, "amount": 1}, INVALID["rule"][0]])
    load(source)
    plugin = DltIngestionPlugin({"sources": [source]})
    replayed = plugin.replay_quarantined(plugin.source("orders"))
    assert (replayed.rows_loaded, replayed.resources["order"].rejected.rows) == (0, 1)
    assert [row["id"] for row in rows("bronze.order")] == [1]
