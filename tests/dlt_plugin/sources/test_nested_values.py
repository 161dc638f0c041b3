"""Nested values as structs, lists and maps of Iceberg, from every type of source that has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import dlt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.types import ListType, LongType, StructType

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    IngestionError,
    LoadResult,
    PipelineConfigurationError,
    SchemaContractViolation,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.table import Table

Rows = list[dict[str, Any]]
Load = Callable[..., LoadResult]
Offer = Callable[..., dict[str, Any]]
KINDS = ["jsonl", "parquet", "rest_api", "python", "python-arrow"]
FIRST: Rows = [
    {"id": 1, "place": {"city": "Oslo", "at": {"x": 1}}, "tags": ["a", "b"]},
    {"id": 2, "place": {"city": "Bergen", "at": None}, "tags": []},
    {"id": 3, "place": None, "tags": None},
]
LATER: Rows = [{"id": 4, "place": {"at": {"x": 2, "y": 3}, "zip": [1, 2]}, "tags": ["c"]}]


@dlt.resource(name="things")
def rows_of(rows: Rows, arrow: bool) -> Any:
    """The factory of the sources of type `python`."""
    yield pa.Table.from_pylist(rows) if arrow else list(rows)


@dlt.resource(name="things")
def pages_of(pages: list[Rows]) -> Any:
    yield from pages


@dlt.resource(name="things", table_name=lambda row: row["kind"])
def named_rows() -> Any:
    yield [{"kind": "cats"}]


@pytest.fixture
def offer(landing: Path, items: dict[str, Any], api: Any) -> Offer:
    """Returns a source of a type which has only the given rows, or these in a further file."""

    numbers = count()

    def offer(kind: str, rows: Rows, **settings: Any) -> dict[str, Any]:
        named = {"name": "things", "destination_table": "bronze.things", "nested": "native"}
        if kind == "rest_api":
            api.rows = rows
            return {**items, **named, **settings}
        if kind.startswith("python"):
            options: dict[str, Any] = {
                "factory": f"{__name__}:rows_of",
                "arguments": {"rows": rows, "arrow": kind == "python-arrow"},
                "resource_names": ["things"],
            }
            return {"source_type": "python", "source_config": options, **named, **settings}
        for earlier in landing.iterdir():
            earlier.unlink()
        path = landing / f"{next(numbers)}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        options = {"bucket_url": str(landing), "file_glob": "*", "format": kind}
        return {"source_type": "filesystem", "source_config": options, **named, **settings}

    return offer


def loaded() -> Table:
    return open_catalog().load_table("bronze.things")


def found(column: str) -> list[Any]:
    """Return a column as Polars reads it, sorted by `id`; pyiceberg reads null lists as empty."""
    frame = pl.scan_iceberg(loaded()).sort("id").select(column).collect()
    return [row[column] for row in frame.to_dicts()]


@pytest.mark.parametrize("kind", KINDS)
def test_nested_values_are_structs_and_lists(
    offer: Offer, load: Load, tables: Callable[[], set[str]], kind: str
) -> None:
    """A list makes no table, and an object no further column; empty lists are not null."""
    load(offer(kind, FIRST))
    assert tables() == {"bronze.things"}
    names = [f.name for f in loaded().schema().fields if not f.name.startswith("_dlt_")]
    assert names == ["id", "place", "tags"]
    assert isinstance(loaded().schema().find_type("place"), StructType)
    assert isinstance(loaded().schema().find_type("tags"), ListType)
    assert loaded().schema().find_type("place.at.x") == LongType()
    assert found("place") == [row["place"] for row in FIRST]
    assert found("tags") == [row["tags"] for row in FIRST]
    read = loaded().scan().to_arrow().sort_by("id")["place"].to_pylist()
    assert read == [row["place"] for row in FIRST]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [*((kind, "append") for kind in KINDS), ("jsonl", "merge"), ("python", "merge")],
)
def test_new_fields_are_added_to_the_struct(offer: Offer, load: Load, kind: str, mode: str) -> None:
    """Fields that a row lacks are null, in earlier and later loads; field ids are kept."""
    settings = {"write_mode": mode} | ({"primary_key": "id"} if mode == "merge" else {})
    load(offer(kind, FIRST, **settings))
    x = loaded().schema().find_field("place.at.x").field_id
    load(offer(kind, LATER, **settings))
    load(offer(kind, [{"id": 5, "place": {"city": "Moss"}, "tags": ["d"]}], **settings))
    if mode == "merge":
        load(offer(kind, [{**FIRST[0], "tags": ["new"]}], **settings))
    assert loaded().schema().find_field("place.at.x").field_id == x
    assert found("place") == [
        {"city": "Oslo", "at": {"x": 1, "y": None}, "zip": None},
        {"city": "Bergen", "at": None, "zip": None},
        None,
        {"city": None, "at": {"x": 2, "y": 3}, "zip": [1, 2]},
        {"city": "Moss", "at": None, "zip": None},
    ]
    first_tags = ["new"] if mode == "merge" else ["a", "b"]
    assert found("tags") == [first_tags, [], None, ["c"], ["d"]]


def test_pages_of_one_load_may_have_different_fields(offer: Offer, load: Load) -> None:
    source = offer("python", [])
    source["source_config"] |= {
        "factory": f"{__name__}:pages_of",
        "arguments": {"pages": [FIRST, LATER, FIRST[:1]]},
    }
    load(source)
    assert [place and place["zip"] for place in found("place")] == [None, None, None, None, [1, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_another_type_is_an_error_that_names_its_path(
    offer: Offer, load: Load, kind: str
) -> None:
    load(offer(kind, FIRST))
    for place in ({"at": {"x": "secret"}}, {"at": ["secret"]}):
        path = r"'place\.at\.x'" if isinstance(place["at"], dict) else r"'place\.at'"
        with pytest.raises(IngestionError, match=path) as error:
            load(offer(kind, [{"id": 4, "place": place, "tags": []}]))
        assert "secret" not in str(error.value)
    assert len(found("id")) == len(FIRST)


@pytest.mark.parametrize("kind", ["jsonl", "rest_api", "python"])
def test_several_types_in_one_block_are_an_error_that_names_the_path(
    offer: Offer, load: Load, kind: str
) -> None:
    rows = [{"id": n, "place": {"at": [{"x": x}]}} for n, x in enumerate([1, "secret"])]
    with pytest.raises(IngestionError, match=r"place\.at\.element\.x") as error:
        load(offer(kind, rows))
    assert "secret" not in str(error.value)


BAD: Rows = [
    {"id": 4, "place": {"city": "Moss", "at": {"x": 2}}, "tags": []},
    {"id": 5, "place": {"city": "Hamar", "at": {"x": "many"}}, "tags": []},
    {"id": 6, "place": {"city": "Voss", "at": None}, "tags": []},
]
NEW: Rows = [{"id": 7, "place": {"city": "Lom", "zip": "2686"}, "tags": []}]


@pytest.mark.parametrize("kind", ["jsonl", "rest_api", "python"])
def test_the_contract_judges_a_nested_column_as_a_whole(
    offer: Offer, load: Load, kind: str
) -> None:
    load(offer(kind, FIRST))
    with pytest.raises(SchemaContractViolation, match=r"'place\.at\.x'.*is bigint.*text"):
        load(offer(kind, BAD, schema_contract="freeze"))
    result = load(offer(kind, BAD, schema_contract="discard_row"))
    (resource,) = result.resources.values()
    assert dict(resource.rejected.rows_by_reason) == {"column place.at.x is bigint, not text": 1}
    assert found("id")[3:] == [4, 6]
    load(offer(kind, NEW, schema_contract="discard_value"))
    assert found("place")[5:] == [None]


@pytest.mark.parametrize("kind", ["parquet", "python-arrow", "rest_api"])
def test_a_new_field_violates_the_contract(offer: Offer, load: Load, kind: str) -> None:
    """Its path is in the error; a field without values is not a new one."""
    load(offer(kind, FIRST))
    without_value = [{"id": 7, "place": {"city": "Lom", "zip": None}, "tags": []}]
    load(offer(kind, without_value, schema_contract="freeze"))
    with pytest.raises(SchemaContractViolation, match=r"new column 'place\.zip' \(text\)"):
        load(offer(kind, NEW, schema_contract="freeze"))
    load(offer(kind, LATER))
    known = [{"id": 8, "place": {"at": {"x": 1, "y": 2}, "zip": [3]}, "tags": []}]
    load(offer(kind, known, schema_contract="freeze"))
    assert found("place")[-1] == {"city": None, "at": {"x": 1, "y": 2}, "zip": [3]}


def test_timestamps_inside_of_dicts_are_in_utc(offer: Offer, load: Load) -> None:
    noon = datetime(2026, 3, 1, 12)
    source = offer("python", [{"id": 1, "seen": "2026-03-01T12:00:00Z", "v": [{"at": noon}]}])
    load(source)
    aware = noon.replace(tzinfo=UTC)
    assert found("seen") == [aware]
    assert found("v") == [[{"at": aware}]]


@pytest.mark.parametrize("kind", KINDS[:1] + KINDS[2:4])
def test_a_column_declared_as_json_is_text(offer: Offer, load: Load, kind: str) -> None:
    rows = [{"id": 1, "place": {"x": [1]}}, {"id": 2, "place": None}]
    load(offer(kind, rows, columns={"place": "json"}))
    assert [place and json.loads(place) for place in found("place")] == [{"x": [1]}, None]


@pytest.mark.parametrize("kind", ["jsonl", "rest_api"])
def test_empty_objects_and_lists_without_a_type_are_null(
    offer: Offer, load: Load, kind: str
) -> None:
    """Iceberg has no struct without fields; once the type is known, they are empty."""
    load(offer(kind, [{"id": 1, "place": {}, "tags": []}]))
    load(offer(kind, [{**FIRST[0], "id": 2}]))
    load(offer(kind, [{"id": 3, "place": {}, "tags": []}]))
    assert found("tags") == [None, ["a", "b"], []]
    assert found("place") == [None, FIRST[0]["place"], {"city": None, "at": None}]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"source_type": "sql_database", "source_config": {"table_names": ["things"]}}, "as text"),
        ({"write_mode": "merge", "merge_strategy": "scd2", "primary_key": "id"}, "scd2"),
    ],
)
def test_sources_that_cannot_have_it_are_rejected(
    offer: Offer, load: Load, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PipelineConfigurationError, match=f"nested is 'native'.*{reason}"):
        load(offer("python", FIRST, **settings))


def test_rows_that_name_their_tables_are_rejected(offer: Offer, load: Load) -> None:
    source = offer("python", [])
    source["source_config"] |= {"factory": f"{__name__}:named_rows", "arguments": {}}
    with pytest.raises(PipelineConfigurationError, match="nested of resource 'things'"):
        load(source)


def test_quarantined_rows_can_be_replayed_once_the_table_has_their_fields(
    offer: Offer, load: Load
) -> None:
    """Those with other fields or types stay in quarantine."""
    strict = {"schema_contract": "discard_row", "quarantine": True}
    load(offer("python", FIRST))
    load(offer("python", [*NEW, *BAD[1:2]], **strict))
    load(offer("python", [{"id": 4, "place": {"zip": "0150"}, "tags": []}]))
    source = offer("python", [], **strict)
    plugin = DltIngestionPlugin({"sources": [source]})
    result = plugin.replay_quarantined(plugin.source("things"))
    assert result.rows_loaded == 1
    assert found("id") == [1, 2, 3, 4, 7]
    assert found("place")[-1] == {"city": "Lom", "at": None, "zip": "2686"}
    (resource,) = result.resources.values()
    assert resource.rejected.rows == 1
