"""Schemas evolve as Iceberg allows it, and not otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from dlt.common.schema.exceptions import SchemaIdentifierNormalizationCollision
from pyiceberg.types import BinaryType, DecimalType, DoubleType, LongType

from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    ColumnNameCollision,
    IncompatibleSchema,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.schema import staged_schema

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from pyiceberg.types import IcebergType


def column(values: list[Any], arrow_type: pa.DataType) -> pa.Table:
    return pa.table({"n": range(len(values)), "v": pa.array(values, arrow_type)})


@pytest.mark.also_on_rest
def test_a_new_column_is_added(lake: Lake) -> None:
    """Rows before it are null there, and rows without it later are, too."""
    lake.load([{"id": 1}], table_name="t")
    lake.load([{"id": 2, "v": "x"}], table_name="t")
    lake.load([{"id": 3, "w": 1.5}], table_name="t")
    assert lake.rows("t") == [
        {"id": 1, "v": None, "w": None},
        {"id": 2, "v": "x", "w": None},
        {"id": 3, "v": None, "w": 1.5},
    ]
    assert lake.snapshots("t") == 3


WIDER: dict[str, tuple[pa.DataType, pa.DataType, IcebergType, Any]] = {
    "int to long": (pa.int32(), pa.int64(), LongType(), 1),
    "float to double": (pa.float32(), pa.float64(), DoubleType(), 1.5),
    "larger decimal": (pa.decimal128(9, 2), pa.decimal128(18, 2), DecimalType(18, 2), Decimal(1)),
}


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.parametrize("sort", [False, True], ids=["as it is", "rewritten"])
@pytest.mark.parametrize("kind", WIDER)
def test_a_type_is_widened(lake: Lake, kind: str, sort: bool) -> None:
    """A wider load widens the column, and a narrow one fits into it afterwards."""
    narrow, wide, expected, value = WIDER[kind]
    columns: Any = {"n": {"sort": sort}}
    for arrow_type in (narrow, wide, narrow):
        lake.load(column([value, None], arrow_type), table_name="t", columns=columns)
    assert lake.table("t").schema().find_type("v") == expected
    assert lake.values("t", "v") == [value] * 3 + [None] * 3


LOSSLESS: dict[str, tuple[pa.DataType, pa.DataType, IcebergType, Any, Any]] = {
    "decimal of a smaller scale": (
        pa.decimal128(10, 2),
        pa.decimal128(9, 1),
        DecimalType(10, 2),
        Decimal("1.25"),
        Decimal("12345678.9"),
    ),
    "decimal of a smaller scale and more digits": (
        pa.decimal128(10, 2),
        pa.decimal128(12, 1),
        DecimalType(13, 2),
        Decimal("1.25"),
        Decimal("12345678901.2"),
    ),
    "int to decimal": (
        pa.decimal128(12, 2),
        pa.int32(),
        DecimalType(12, 2),
        Decimal("1.25"),
        2**31 - 1,
    ),
    "int to double": (pa.float64(), pa.int32(), DoubleType(), 1.5, 2**31 - 1),
    "fixed to binary": (pa.binary(), pa.binary(2), BinaryType(), b"", b"ab"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_values_that_the_column_holds_exactly_are_cast(lake: Lake, kind: str) -> None:
    first, second, expected, value, cast = LOSSLESS[kind]
    lake.load(column([value], first), table_name="t", pipeline="one")
    lake.load(column([cast], second), table_name="t", pipeline="two")
    assert lake.table("t").schema().find_type("v") == expected
    assert set(lake.values("t", "v")) == {value, cast}


@pytest.mark.parametrize("order", [1, -1])
def test_the_files_of_a_load_get_a_type_that_holds_all_values(order: int) -> None:
    files = [pa.schema([("v", pa.decimal128(10, scale))]) for scale in (1, 2)][::order]
    assert staged_schema("t", {}, files).find_type("v") == DecimalType(11, 2)


NARROWER: dict[str, tuple[pa.Table, pa.Table, str, str]] = {
    "text to long": (column(["a"], pa.string()), column([1], pa.int64()), "string", "long"),
    "long to text": (column([1], pa.int64()), column(["a"], pa.string()), "long", "string"),
    "text to bytes": (column(["a"], pa.string()), column([b"a"], pa.binary()), "string", "binary"),
    "bytes to text": (column([b"a"], pa.binary()), column(["a"], pa.string()), "binary", "string"),
    "long to double": (column([1], pa.int64()), column([1.5], pa.float64()), "long", "double"),
    "bool to int": (column([True], pa.bool_()), column([1], pa.int32()), "boolean", "int"),
    "another scale": (
        column([Decimal(1)], pa.decimal128(9, 2)),
        column([Decimal(1)], pa.decimal128(9, 3)),
        "decimal(9, 2)",
        "decimal(9, 3)",
    ),
    "long to struct": (
        column([1], pa.int64()),
        column([{"a": 1}], pa.struct([("a", pa.int64())])),
        "long",
        "struct<",
    ),
    "a list of other things": (
        column([[1]], pa.list_(pa.int64())),
        column([["a"]], pa.list_(pa.string())),
        "long",
        "string",
    ),
}
# Where it is not the column itself.
PATHS = {"a list of other things": "v.element"}


@pytest.mark.parametrize("kind", NARROWER)
def test_another_type_is_rejected(lake: Lake, kind: str) -> None:
    """The error names table, column and both types, and nothing is changed."""
    before, after, table_type, incoming_type = NARROWER[kind]
    lake.load(before, table_name="t", pipeline="one")
    metadata = lake.table("t").metadata_location
    # Another pipeline, since dlt itself would give a changed column of its schema another name.
    error = lake.rejected(after, table_name="t", pipeline="two")
    assert isinstance(error, IncompatibleSchema)
    path = PATHS.get(kind, "v")
    assert (error.table, error.column) == ("lake.t", path)
    assert error.table_type == table_type
    assert error.incoming_type.startswith(incoming_type)
    for part in ("lake.t", f"`{path}`", table_type, incoming_type):
        assert part in str(error)
    assert lake.table("t").metadata_location == metadata
    assert len(lake.rows("_dlt_loads")) == 1


@pytest.mark.also_on_rest
def test_one_rejected_table_keeps_the_others_from_changing(lake: Lake) -> None:
    """A load is published whole or not at all."""
    lake.load(column(["a"], pa.string()), table_name="t", pipeline="one")

    @dlt.source(name="two")
    def both() -> Any:
        yield dlt.resource(column([1], pa.int64()), name="t")
        yield dlt.resource([{"id": 1}], name="other")

    lake.rejected(both(), pipeline="two")
    assert lake.tables() == {"t"}
    assert {r["schema_name"] for r in lake.rows("_dlt_version", "schema_name")} == {"one"}


def test_dlt_s_own_variant_columns_are_columns(lake: Lake) -> None:
    """Within one schema dlt puts a value of another type into a column of its own."""
    lake.load([{"id": 1, "v": 1}], table_name="t")
    lake.load([{"id": 2, "v": "a"}], table_name="t")
    assert lake.rows("t") == [
        {"id": 1, "v": 1, "v__v_text": None},
        {"id": 2, "v": None, "v__v_text": "a"},
    ]


def test_columns_are_never_dropped(lake: Lake) -> None:
    """A load without a column leaves it, regardless of the disposition."""
    lake.load([{"id": 1, "v": "a"}], table_name="t", primary_key="id")
    for disposition in ("append", "merge", "replace"):
        lake.load([{"id": 2}], table_name="t", write_disposition=disposition, primary_key="id")
        assert "v" in lake.table("t").schema().column_names


def test_an_int_declared_narrow_goes_into_a_long(lake: Lake) -> None:
    """dlt's `precision` decides what a new column is, and not whether rows fit an old one."""
    lake.load([{"id": 1}], table_name="t", pipeline="one")
    columns: Any = {"id": {"precision": 32}}
    lake.load([{"id": 2}], table_name="t", columns=columns, pipeline="two")
    assert lake.table("t").schema().find_type("id") == LongType()
    assert lake.values("t", "id") == [1, 2]


def test_files_of_one_load_may_differ_in_width(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest type of the load's files is the table's."""
    monkeypatch.setenv("DATA_WRITER__ARROW_CONCAT_PROMOTE_OPTIONS", "default")

    @dlt.resource(name="t")
    def mixed() -> Any:
        yield column([1], pa.int32())

    @dlt.resource(name="more", table_name="t")
    def more() -> Any:
        yield column([2**40], pa.int64())

    @dlt.source(name="both")
    def both() -> Any:
        yield mixed
        yield more

    lake.load(both())
    assert lake.table("t").schema().find_type("v") == LongType()
    assert lake.values("t", "v") == [1, 2**40]


@pytest.mark.parametrize("is_new", [True, False], ids=["in one load", "in a later load"])
def test_names_that_differ_in_case_alone_are_rejected(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    """As for dlt's DuckDB destination: most engines cannot tell the two columns apart."""
    monkeypatch.setenv("SCHEMA__NAMING", "direct")
    lake.load([{"id": 1, "amount": 1}], table_name="t")
    loads = lake.table("_dlt_loads").scan().to_arrow().num_rows
    table = "other" if is_new else "t"
    rows = [{"id": 2, "Amount": 2, **({"amount": 2} if is_new else {})}]
    error = lake.rejected(rows, table_name=table)
    assert isinstance(error, SchemaIdentifierNormalizationCollision)
    assert "`Amount`" in str(error)
    assert "`amount`" in str(error)
    assert lake.tables() == {"t"}
    assert lake.rows("t") == [{"id": 1, "amount": 1}]
    assert lake.table("_dlt_loads").scan().to_arrow().num_rows == loads


def test_a_column_of_the_table_with_other_case_is_named_before_the_commit(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another pipeline's or another engine's: dlt's schema does not know it."""
    monkeypatch.setenv("SCHEMA__NAMING", "direct")
    lake.load([{"id": 1, "amount": 1}], table_name="t", pipeline="one")
    metadata = lake.table("t").metadata_location
    error = lake.rejected([{"id": 2, "Amount": "x"}], table_name="t", pipeline="two")
    assert isinstance(error, ColumnNameCollision)
    assert (error.table, error.column, error.present) == ("lake.t", "Amount", "amount")
    assert (error.table_type, error.incoming_type) == ("long", "string")
    assert "`Amount`" in str(error)
    assert "`amount`" in str(error)
    assert lake.table("t").metadata_location == metadata
    assert len(lake.rows("_dlt_loads")) == 1


def test_names_keep_their_case(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A naming convention with case is stored as it is, and merges by such a key."""
    monkeypatch.setenv("SCHEMA__NAMING", "direct")
    for amount in (1, 2):
        lake.load(
            [{"Id": 1, "Amount": amount}],
            table_name="Orders",
            write_disposition="merge",
            primary_key="Id",
        )
    assert lake.rows("Orders") == [{"Id": 1, "Amount": 2}]
