"""Structs, lists and maps whose fields change from load to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.schema import index_by_name

from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    ColumnNameCollision,
    IncompatibleSchema,
)

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

POINT = pa.struct([("x", pa.int32()), ("at", pa.struct([("city", pa.string())]))])
WIDER = pa.struct(
    [
        ("at", pa.struct([("zip", pa.string()), ("city", pa.string())])),
        ("z", pa.list_(pa.float64())),
        ("x", pa.int64()),
    ]
)
SMALL = {"x": 1, "at": {"city": "Oslo"}}
LARGE = {"x": 2**40, "z": [0.5, None], "at": {"zip": "0150", "city": None}}
# A struct by itself, and inside of each other nested type.
SHAPES: dict[str, Any] = {
    "struct": (lambda kind: kind, lambda value: value),
    "list": (pa.list_, lambda value: [value, None]),
    "map": (lambda kind: pa.map_(pa.string(), kind), lambda value: [("a", value), ("b", None)]),
}


def table(number: int, kind: pa.DataType, value: Any) -> pa.Table:
    values = [value, None]
    return pa.table({"id": [number, number + 1], "v": pa.array(values, kind)})


def complete(value: Any) -> Any:
    """Return a value as the widened table has it: with all fields, of which some are null."""
    at = value["at"] and {"city": value["at"].get("city"), "zip": value["at"].get("zip")}
    return {"x": value["x"], "at": at, "z": value.get("z")}


@pytest.mark.parametrize("disposition", ["append", "merge"])
@pytest.mark.parametrize("shape", SHAPES)
def test_fields_are_added_and_widened_at_any_depth(
    lake: Lake, shape: str, disposition: Any
) -> None:
    """Rows of before and later rows without the fields have nulls; field ids stay as they are."""
    of_type, of_value = SHAPES[shape]
    options: Any = {"table_name": "t", "write_disposition": disposition, "primary_key": "id"}
    lake.load(table(1, of_type(POINT), of_value(SMALL)), **options)
    before = index_by_name(lake.table("t").schema())
    lake.load(table(3, of_type(WIDER), of_value(LARGE)), **options)
    lake.load(table(5, of_type(POINT), of_value(SMALL)), **options)
    if disposition == "merge":
        lake.load(table(1, of_type(POINT), of_value(SMALL)), **options)
    expected = [
        {"id": number + more, "v": value if not more else None}
        for number, value in (
            (1, of_value(complete(SMALL))),
            (3, of_value(complete(LARGE))),
            (5, of_value(complete(SMALL))),
        )
        for more in (0, 1)
    ]
    loaded = lake.table("t")
    after = index_by_name(loaded.schema())
    assert before.items() <= after.items()
    read = lake.pipeline().dataset()["t"].arrow()
    assert read is not None
    assert read.select(["id", "v"]).sort_by("id").to_pylist() == expected
    if shape != "map":  # Polars shows maps as lists of structs.
        polars = pl.scan_iceberg(loaded).select("id", "v").sort("id").collect().to_dicts()
        assert polars == expected
    if shape == "struct":  # pyiceberg reads null lists of structs as empty lists.
        found = loaded.scan().to_arrow().select(["id", "v"]).sort_by("id")
        assert found.to_pylist() == expected


def test_files_of_one_load_may_have_different_fields(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_WRITER__ARROW_CONCAT_PROMOTE_OPTIONS", "default")
    lake.load(iter([table(1, POINT, SMALL), table(3, WIDER, LARGE)]), table_name="t")
    found = lake.table("t").scan().to_arrow().sort_by("id")["v"].to_pylist()
    assert found == [complete(SMALL), None, complete(LARGE), None]


CONFLICTS: dict[str, Any] = {
    "v.at.city": (pa.struct([("at", pa.struct([("city", pa.int64())]))]), {"at": {"city": 5}}),
    "v.x": (pa.struct([("x", pa.struct([("y", pa.int64())]))]), {"x": {"y": 5}}),
    "v.at": (pa.struct([("at", pa.list_(pa.string()))]), {"at": ["Oslo"]}),
    "v": (pa.list_(POINT), [SMALL]),
}


@pytest.mark.parametrize("path", CONFLICTS)
def test_a_conflict_inside_of_a_column_names_the_path(lake: Lake, path: str) -> None:
    lake.load(table(1, POINT, SMALL), table_name="t")
    error = lake.rejected(table(3, *CONFLICTS[path]), table_name="t")
    assert isinstance(error, IncompatibleSchema)
    assert error.column == path
    assert lake.table("t").scan().to_arrow().num_rows == 2


def test_fields_that_differ_in_case_alone_are_rejected(lake: Lake) -> None:
    lake.load(table(1, POINT, SMALL), table_name="t")
    kind = pa.struct([("at", pa.struct([("City", pa.string())]))])
    error = lake.rejected(table(3, kind, {"at": {"City": "Oslo"}}), table_name="t")
    assert isinstance(error, ColumnNameCollision)
    assert error.column == "v.at.City"
