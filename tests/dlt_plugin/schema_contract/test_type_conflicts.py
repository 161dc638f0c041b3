"""Values of a type that Iceberg cannot widen a column to, from every type of source."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from floe_ingestion_defs.dlt_plugin import (
    IngestionError,
    LoadResult,
    PipelineConfigurationError,
    SchemaContractViolation,
)

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[dict[str, Any]]
Load = Callable[..., LoadResult]
Offer = Callable[[str, Rows], dict[str, Any]]
FIRST = [{"id": 1, "amount": 10}]
ALL_CASES = pytest.mark.all_cases
KINDS = ["csv", "jsonl", "parquet", "sql_database", "rest_api", "python", "python-arrow"]


CHOICES = [
    *((kind, "variant") for kind in KINDS),
    *(
        pytest.param(kind, "text", marks=() if kind in ("parquet", "python") else ALL_CASES)
        for kind in KINDS
    ),
]


@dlt.resource(name="things")
def rows_of(rows: Rows, arrow: bool) -> Any:
    """The factory of the sources of type `python`."""
    yield pa.Table.from_pylist(rows) if arrow else list(rows)


@pytest.fixture
def offer(landing: Path, database: Any, items: dict[str, Any], api: Any) -> Offer:
    """Returns a source of a type which has only the given rows, or these in a further file."""

    def files(kind: str, rows: Rows) -> dict[str, Any]:
        path = landing / f"{len(list(landing.iterdir()))}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        elif kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            with path.open("w") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        options = {"bucket_url": str(landing), "file_glob": "*", "format": kind}
        return {"source_type": "filesystem", "source_config": options}

    def offer(kind: str, rows: Rows) -> dict[str, Any]:
        named = {"name": "things", "destination_table": "bronze.things"}
        if kind == "sql_database":
            sql_type = {int: "INTEGER", float: "REAL", str: "TEXT"}[type(rows[-1]["amount"])]
            database.run("DROP TABLE IF EXISTS things")
            database.run(f"CREATE TABLE things (id INTEGER, amount {sql_type})")
            database.run("INSERT INTO things VALUES (?, ?)", [tuple(row.values()) for row in rows])
            options: dict[str, Any] = {"table_names": ["things"]}
            source: dict[str, Any] = {"source_type": kind, "credentials": database.url}
        elif kind == "rest_api":
            api.rows = rows
            return {**items, **named}
        elif kind.startswith("python"):
            source = {"source_type": "python"}
            arguments = {"rows": rows, "arrow": kind == "python-arrow"}
            factory = f"{__name__}:rows_of"
            options = {"factory": factory, "arguments": arguments, "resource_names": ["things"]}
        else:
            return {**files(kind, rows), **named}
        return {**source, **named, "source_config": options}

    return offer


def without_nulls(rows: Rows) -> Rows:
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


@pytest.mark.parametrize(("kind", "setting"), CHOICES)
def test_texts_that_do_not_fit_are_loaded_into_a_column_of_their_own(
    offer: Offer, load: Load, rows: Callable[[str], Rows], kind: str, setting: str
) -> None:
    """Values that fit stay in the column, those of later loads and of other types included."""
    chosen = {"type_conflict": setting}
    load(offer(kind, FIRST) | chosen)
    texts = [{"id": 2, "amount": "lots"}, {"id": 3, "amount": "12"}]
    load(offer(kind, texts) | chosen)
    load(offer(kind, [{"id": 4, "amount": 14}]) | chosen)
    assert without_nulls(rows("bronze.things")) == [
        {"id": 1, "amount": 10},
        {"id": 2, "amount__v_text": "lots"},
        {"id": 3, "amount": 12},
        {"id": 4, "amount": 14},
    ]


@pytest.mark.parametrize(("kind", "setting"), CHOICES)
def test_a_variant_has_the_type_of_its_values_unless_it_is_text(
    offer: Offer, load: Load, rows: Callable[[str], Rows], kind: str, setting: str
) -> None:
    """A CSV file has only texts, so its variant is one."""
    chosen = {"type_conflict": setting}
    load(offer(kind, FIRST) | chosen)
    load(offer(kind, [{"id": 2, "amount": 1.5}, {"id": 3, "amount": 2.0}]) | chosen)
    text = setting == "text" or kind == "csv"
    moved = {"amount__v_text": "1.5"} if text else {"amount__v_double": 1.5}
    found = without_nulls(rows("bronze.things"))
    assert found[:2] == [{"id": 1, "amount": 10}, {"id": 2} | moved]
    assert found[2] in ({"id": 3, "amount": 2}, {"id": 3, "amount__v_text": "2.0"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_conflict_that_fails_the_load_names_the_setting_which_resolves_it(
    offer: Offer, load: Load, rows: Callable[[str], Rows], kind: str
) -> None:
    load(offer(kind, FIRST) | {"type_conflict": "fail"})
    source = offer(kind, [{"id": 2, "amount": "lots"}])
    with pytest.raises(IngestionError, match="set type_conflict: variant, or text") as error:
        load(source | {"type_conflict": "fail"})
    assert "amount" in str(error.value)
    assert "lots" not in str(error.value)
    assert rows("bronze.things") == FIRST
    load(source | {"type_conflict": "variant"})
    assert without_nulls(rows("bronze.things")) == [*FIRST, {"id": 2, "amount__v_text": "lots"}]


@pytest.mark.parametrize("kind", ["csv", "parquet", "python"])
def test_conflicts_within_the_first_load_are_handled_too(
    offer: Offer, load: Load, rows: Callable[[str], Rows], kind: str
) -> None:
    if kind == "python":
        source = offer(kind, [*FIRST, {"id": 2, "amount": "lots"}])
    else:
        offer(kind, FIRST)
        source = offer(kind, [{"id": 2, "amount": "lots"}])
    with pytest.raises(IngestionError, match="type_conflict: variant"):
        load(source | {"type_conflict": "fail"})
    load(source | {"type_conflict": "variant"})
    assert without_nulls(rows("bronze.things")) == [*FIRST, {"id": 2, "amount__v_text": "lots"}]


def test_values_in_nested_rows_become_texts(
    offer: Offer, load: Load, rows: Callable[[str], Rows]
) -> None:
    nested = [
        {"id": 1, "who": {"age": 1}, "lines": [{"n": 1}], "tags": [1]},
        {"id": 2, "who": {"age": 1.5}, "lines": [{"n": 2.5}, {"n": 3}], "tags": [4.5, "x"]},
    ]
    load(offer("python", nested) | {"type_conflict": "text"})
    assert without_nulls(rows("bronze.things")) == [
        {"id": 1, "who__age": 1},
        {"id": 2, "who__age__v_text": "1.5"},
    ]
    lines = sorted(without_nulls(rows("bronze.things__lines")), key=str)
    assert lines == [{"n": 1}, {"n": 3}, {"n__v_text": "2.5"}]
    tags = sorted(without_nulls(rows("bronze.things__tags")), key=str)
    assert tags == [{"value": 1}, {"value__v_text": "4.5"}, {"value__v_text": "x"}]


def test_a_key_that_does_not_fit_fails_the_load(offer: Offer, load: Load) -> None:
    """Its value cannot be stored elsewhere: the row would have no key."""
    settings = {"type_conflict": "variant", "write_mode": "merge", "primary_key": "id"}
    load(offer("parquet", FIRST) | settings)
    source = offer("parquet", [{"id": "two", "amount": 1}])
    with pytest.raises(SchemaContractViolation, match=r"'id' of table 'things' is bigint.*a key"):
        load(source | settings)


def test_another_contract_decides_for_itself(offer: Offer, load: Load) -> None:
    source = offer("python", FIRST) | {"type_conflict": "text", "schema_contract": "freeze"}
    with pytest.raises(PipelineConfigurationError, match="schema_contract is 'freeze', which"):
        load(source)
