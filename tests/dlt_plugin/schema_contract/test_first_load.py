"""The first load under a strict contract without declared columns, from each kind of rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest

from floe_ingestion_defs.dlt_plugin import LoadResult, SchemaContractViolation

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[dict[str, Any]]
Load = Callable[..., LoadResult]
Offer = Callable[[str, Rows], dict[str, Any]]
# A new column in a later row, and a value of another type in the last one.
GOOD: Rows = [{"id": 1, "amount": 10}, {"id": 2, "amount": 20, "note": "n"}]
BAD: dict[str, Any] = {"id": 3, "amount": "lots"}
KINDS = ["python", "python-arrow", "csv", "jsonl"]


@dlt.resource(name="things")
def rows_of(rows: Rows, arrow: bool) -> Any:
    """The factory of the sources of type `python`: each row is an item."""
    for row in rows:
        yield pa.Table.from_pylist([row]) if arrow else [row]


@pytest.fixture
def offer(landing: Path) -> Offer:
    """Returns a source of some kind which has the given rows, in a file each."""

    def offer(kind: str, rows: Rows) -> dict[str, Any]:
        named = {"name": "things", "destination_table": "bronze.things"}
        if kind.startswith("python"):
            options: dict[str, Any] = {
                "factory": f"{__name__}:rows_of",
                "arguments": {"rows": rows, "arrow": kind == "python-arrow"},
                "resource_names": ["things"],
            }
            return {"source_type": "python", "source_config": options, **named}
        for number, row in enumerate(rows):
            lines = {"csv": [",".join(row), ",".join(map(str, row.values()))]}
            text = "\n".join(lines.get(kind, [json.dumps(row)]))
            (landing / f"{number}.{kind}").write_text(f"{text}\n")
        options = {"bucket_url": str(landing), "file_glob": "*", "format": kind}
        return {"source_type": "filesystem", "source_config": options, **named}

    return offer


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_load_defines_the_columns_and_later_loads_keep_them(
    offer: Offer, load: Load, rows: Callable[[str], Rows], kind: str
) -> None:
    frozen = {"schema_contract": "freeze"}
    load(offer(kind, GOOD) | frozen)
    assert rows("bronze.things") == [GOOD[0] | {"note": None}, GOOD[1]]
    with pytest.raises(SchemaContractViolation, match="new column 'extra'"):
        load(offer(kind, [*GOOD, {"id": 4, "extra": 1}]) | frozen)
    assert len(rows("bronze.things")) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_does_not_fit_the_first_one_fails_a_frozen_first_load(
    offer: Offer, load: Load, tables: Callable[[], set[str]], kind: str
) -> None:
    """It does not become a column of its own, which was not declared."""
    source = offer(kind, [*GOOD, BAD]) | {"schema_contract": "freeze"}
    with pytest.raises(SchemaContractViolation, match="'amount' of table 'things' is bigint"):
        load(source)
    assert tables() == set()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contract", ["discard_row", "discard_value"])
def test_a_value_that_does_not_fit_the_first_one_is_discarded_in_the_first_load(
    offer: Offer, load: Load, rows: Callable[[str], Rows], kind: str, contract: str
) -> None:
    result = load(offer(kind, [*GOOD, BAD]) | {"schema_contract": contract, "quarantine": True})
    kept = [] if contract == "discard_row" else [{"id": 3, "amount": None, "note": None}]
    assert rows("bronze.things") == [GOOD[0] | {"note": None}, GOOD[1], *kept]
    rejected = result.resources["things"].rejected
    if contract == "discard_row":
        assert dict(rejected.rows_by_reason) == {"column amount is bigint, not text": 1}
        assert rows("bronze.things__rejected")[0]["reason"] == "column amount is bigint, not text"
    else:
        assert dict(rejected.values_by_column) == {"amount": 1}


def test_types_that_are_known_exactly_are_kept(
    offer: Offer, load: Load, rows: Callable[[str], Rows]
) -> None:
    at = "2026-01-02T03:04:05Z"
    source = offer("python", [{"id": 1, "at": at, "who": {"age": 1}}, {"id": 2, "at": "later"}])
    result = load(source | {"schema_contract": "discard_row"})
    assert dict(result.resources["things"].rejected.rows_by_reason) == {
        "column at is timestamp, not text": 1
    }
    assert [row["who__age"] for row in rows("bronze.things")] == [1]
