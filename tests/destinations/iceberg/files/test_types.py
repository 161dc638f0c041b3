"""Every type goes in and comes back equal."""

from __future__ import annotations

import datetime as dt
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.common import json
from dlt.common.wei import Wei
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
)

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake

NAIVE = dt.datetime(2026, 2, 3, 4, 5, 6, 789012)
MOMENT = NAIVE.replace(tzinfo=UTC)
OSLO = timezone(timedelta(hours=2))

# dlt's type, hints beside it, values, and the Iceberg type it becomes.
# ruff: noqa: E501
DLT_TYPES: list[tuple[str, dict[str, Any], list[Any], IcebergType]] = [
    ("text", {}, ["", "naïve — ☃", "x" * 70_000, "a'b\\c\n"], StringType()),
    ("text", {"precision": 5}, ["abc"], StringType()),
    ("double", {}, [0.0, -1.5, 1e308], DoubleType()),
    ("bool", {}, [True, False], BooleanType()),
    ("timestamp", {}, [MOMENT, dt.datetime(1969, 12, 31, 23, 59, tzinfo=UTC)], TimestamptzType()),
    ("timestamp", {"timezone": False}, [NAIVE], TimestampType()),
    ("timestamp", {"precision": 3}, [MOMENT.replace(microsecond=789000)], TimestamptzType()),
    ("timestamp", {"precision": 0}, [MOMENT.replace(microsecond=0)], TimestamptzType()),
    ("timestamp", {"precision": 9}, [MOMENT], TimestamptzType()),
    ("bigint", {}, [0, -(2**63), 2**63 - 1], LongType()),
    ("bigint", {"precision": 32}, [-(2**31), 2**31 - 1], IntegerType()),
    ("bigint", {"precision": 16}, [-(2**15), 2**15 - 1], IntegerType()),
    ("bigint", {"precision": 8}, [-128, 127], IntegerType()),
    ("binary", {}, [b"\x00\xff", b"x" * 70_000], BinaryType()),
    ("decimal", {}, [Decimal("1.5"), Decimal("-12345678901234567890.123456789")], DecimalType(38, 9)),
    ("decimal", {"precision": 10, "scale": 2}, [Decimal("12345678.90")], DecimalType(10, 2)),
    ("decimal", {"precision": 38, "scale": 18}, [Decimal("0.000000000000000001")], DecimalType(38, 18)),
    ("wei", {}, [Wei(10**37), Wei(-(10**37)), Wei(0)], DecimalType(38, 0)),
    ("date", {}, [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1969, 12, 31)], DateType()),
    ("time", {}, [dt.time(0), dt.time(23, 59, 59, 999999)], TimeType()),
    ("time", {"precision": 3}, [dt.time(1, 2, 3, 4000)], TimeType()),
]  # fmt: skip


@pytest.mark.also_on_rest(all_cases=True)
def test_every_dlt_type_comes_back_equal(lake: Lake) -> None:
    """Values of each of dlt's types survive, nulls among them; each has a table of its own."""

    @dlt.source(name="types")
    def types() -> Iterator[Any]:
        for number, (data_type, hints, values, _) in enumerate(DLT_TYPES):
            rows = [{"n": n, "v": value} for n, value in enumerate([*values, None])]
            columns: Any = {"v": {"data_type": data_type, **hints}}
            yield dlt.resource(rows, name=f"t{number}", columns=columns)

    lake.load(types())
    for number, (data_type, hints, values, expected) in enumerate(DLT_TYPES):
        name = f"t{number}"
        assert lake.table(name).schema().find_type("v") == expected, (data_type, hints)
        assert [r["v"] for r in lake.rows(name)] == [*values, None], (data_type, hints)


@pytest.mark.also_on_rest
def test_a_row_with_every_type_comes_back_equal(lake: Lake) -> None:
    """Without hints dlt finds the types itself."""
    row = {
        "text": "x",
        "double": 1.5,
        "bool": True,
        "timestamp": MOMENT,
        "bigint": 2**40,
        "binary": b"\x01",
        "decimal": Decimal("1.5"),
        "date": dt.date(2026, 1, 1),
        "time": dt.time(1, 2, 3),
    }
    lake.load([row], table_name="t")
    assert lake.rows("t") == [row]


def test_json_comes_back_as_its_text(lake: Lake) -> None:
    """A json column holds the document's text."""
    document = {"a": [1, {"b": None}], "ü": "x"}
    columns: Any = {"v": {"data_type": "json"}}
    lake.load([{"v": document}], table_name="t", columns=columns)
    assert json.loads(lake.rows("t")[0]["v"]) == document


def test_wei_beyond_iceberg_s_decimals_is_rejected(lake: Lake) -> None:
    """39 digits are more than a decimal of Iceberg's holds: an error, and no other number."""
    columns: Any = {"v": {"data_type": "wei"}}
    with pytest.raises(Exception, match=r"(?i)precision|decimal"):
        lake.load([{"v": Wei(10**38)}], table_name="t", columns=columns)
    assert not lake.catalog.namespace_exists(lake.dataset) or lake.tables() == set()


inf = float("inf")
STRINGS = ["a", None, "ü"]
# An Arrow array, what it comes back as, and the Iceberg type it becomes.
ARROW: dict[str, tuple[pa.Array, list[Any], IcebergType]] = {
    "string": (pa.array(STRINGS), STRINGS, StringType()),
    "large_string": (pa.array(STRINGS, pa.large_string()), STRINGS, StringType()),
    "dictionary": (pa.array(STRINGS).dictionary_encode(), STRINGS, StringType()),
    "dictionary of ints": (pa.array([1, None, 2]).dictionary_encode(), [1, None, 2], LongType()),
    "bool": (pa.array([True, None]), [True, None], BooleanType()),
    "int8": (pa.array([-128, 127], pa.int8()), [-128, 127], IntegerType()),
    "int16": (pa.array([-1, None], pa.int16()), [-1, None], IntegerType()),
    "int32": (pa.array([1, None], pa.int32()), [1, None], IntegerType()),
    "int64": (pa.array([2**63 - 1]), [2**63 - 1], LongType()),
    "uint8": (pa.array([255], pa.uint8()), [255], IntegerType()),
    "uint16": (pa.array([65535], pa.uint16()), [65535], IntegerType()),
    "uint32": (pa.array([2**32 - 1], pa.uint32()), [2**32 - 1], LongType()),
    "uint64": (pa.array([2**63 - 1], pa.uint64()), [2**63 - 1], LongType()),
    "float16": (pa.array([1.5, None], pa.float16()), [1.5, None], FloatType()),
    "float32": (pa.array([1.5, None], pa.float32()), [1.5, None], FloatType()),
    "float64": (pa.array([1.1, inf, None]), [1.1, inf, None], DoubleType()),
    "decimal128": (pa.array([Decimal("1.25")], pa.decimal128(9, 2)), [Decimal("1.25")], DecimalType(9, 2)),
    "decimal32": (pa.array([Decimal("1.25")], pa.decimal32(9, 2)), [Decimal("1.25")], DecimalType(9, 2)),
    "decimal64": (pa.array([Decimal("1.25")], pa.decimal64(18, 2)), [Decimal("1.25")], DecimalType(18, 2)),
    "decimal256": (pa.array([Decimal("1.25")], pa.decimal256(38, 2)), [Decimal("1.25")], DecimalType(38, 2)),
    "wide decimal256": (pa.array([Decimal("1.25")], pa.decimal256(60, 2)), [Decimal("1.25")], DecimalType(38, 2)),
    "date32": (pa.array([dt.date(2026, 1, 1), None]), [dt.date(2026, 1, 1), None], DateType()),
    "date64": (pa.array([dt.date(2026, 1, 1)], pa.date64()), [dt.date(2026, 1, 1)], DateType()),
    "time32[s]": (pa.array([dt.time(1, 2, 3)], pa.time32("s")), [dt.time(1, 2, 3)], TimeType()),
    "time32[ms]": (pa.array([dt.time(1, 2, 3)], pa.time32("ms")), [dt.time(1, 2, 3)], TimeType()),
    "time64[us]": (pa.array([dt.time(1, 2, 3, 4)]), [dt.time(1, 2, 3, 4)], TimeType()),
    "time64[ns]": (pa.array([dt.time(1, 2, 3, 4)], pa.time64("ns")), [dt.time(1, 2, 3, 4)], TimeType()),
    "timestamp[s]": (pa.array([NAIVE.replace(microsecond=0)], pa.timestamp("s")), [NAIVE.replace(microsecond=0)], TimestampType()),
    "timestamp[ms]": (pa.array([NAIVE.replace(microsecond=1000)], pa.timestamp("ms")), [NAIVE.replace(microsecond=1000)], TimestampType()),
    "timestamp[us]": (pa.array([NAIVE, None]), [NAIVE, None], TimestampType()),
    "timestamp[ns]": (pa.array([NAIVE, None], pa.timestamp("ns")), [NAIVE, None], TimestampType()),
    "timestamp[us, UTC]": (pa.array([MOMENT], pa.timestamp("us", "UTC")), [MOMENT], TimestamptzType()),
    "timestamp[us, +00:00]": (pa.array([MOMENT], pa.timestamp("us", "+00:00")), [MOMENT], TimestamptzType()),
    "timestamp[us, Oslo]": (pa.array([MOMENT.astimezone(OSLO)], pa.timestamp("us", "Europe/Oslo")), [MOMENT], TimestamptzType()),
    "timestamp[ns, Oslo]": (pa.array([MOMENT], pa.timestamp("ns", "Europe/Oslo")), [MOMENT], TimestamptzType()),
    "timestamp[ms, UTC]": (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("ms", "UTC")), [MOMENT.replace(microsecond=0)], TimestamptzType()),
    "binary": (pa.array([b"\x00", b"", None]), [b"\x00", b"", None], BinaryType()),
    "large_binary": (pa.array([b"\x00"], pa.large_binary()), [b"\x00"], BinaryType()),
}  # fmt: skip


@pytest.mark.parametrize("sort", [False, True], ids=["as it is", "rewritten"])
def test_every_arrow_type_comes_back_equal(lake: Lake, sort: bool) -> None:
    """Whether dlt's file becomes the data file or its rows are written again, values are equal."""
    tables = {f"t{number}": kind for number, kind in enumerate(ARROW)}

    @dlt.source(name="types")
    def types() -> Iterator[Any]:
        for name, kind in tables.items():
            array, _, expected = ARROW[kind]
            columns: Any = {"n": {"sort": sort}}
            if expected == TimestampType():
                # dlt reads Arrow's timestamps without a time zone as UTC, unless configured.
                columns["v"] = {"timezone": False}
            rows = pa.table({"n": pa.array(range(len(array))), "v": array})
            yield dlt.resource([rows], name=name, columns=columns)

    for loads in (1, 2):
        lake.load(types())
        for name, kind in tables.items():
            _, values, expected = ARROW[kind]
            assert lake.table(name).schema().find_type("v") == expected, kind
            back = lake.arrow(name).sort_by("n")["v"].to_pylist()
            assert back == [value for value in values for _ in range(loads)], kind


NESTED: dict[str, tuple[list[Any], pa.DataType]] = {
    "struct": ([{"a": 1, "b": {"c": "x"}}, None], pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string())]))])),
    "list": ([[1, 2], [], None], pa.list_(pa.int64())),
    "large list": ([[1, 2], [], None], pa.large_list(pa.int64())),
    "fixed size list": ([[1, 2], [3, 4], None], pa.list_(pa.int64(), 2)),
    "list of structs": ([[{"a": 1}], []], pa.list_(pa.struct([("a", pa.int64())]))),
    "struct of small ints": ([{"a": 1}, {"a": None}], pa.struct([("a", pa.uint8())])),
    "struct of times": ([{"a": NAIVE}], pa.struct([("a", pa.timestamp("ns"))])),
    "map": ([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
}  # fmt: skip


def test_every_nested_arrow_column_comes_back_equal(lake: Lake) -> None:
    """Structs, lists and maps of Arrow stay columns, load after load."""
    tables = {f"t{number}": kind for number, kind in enumerate(NESTED)}

    @dlt.source(name="types")
    def types() -> Iterator[Any]:
        for name, kind in tables.items():
            values, arrow_type = NESTED[kind]
            rows = pa.table({"n": range(len(values)), "v": pa.array(values, arrow_type)})
            yield dlt.resource([rows], name=name)

    for _ in range(2):
        lake.load(types())
    for name, kind in tables.items():
        back = lake.arrow(name).sort_by("n")["v"].to_pylist()
        assert back == [value for value in NESTED[kind][0] for _ in range(2)], kind


def test_a_rewritten_file_keeps_nulls_of_nested_columns(lake: Lake) -> None:
    """A merge that rewrites a file leaves other rows' lists and structs as they are."""
    lists = pa.array([[{"a": 1}], None, [], None], pa.list_(pa.struct([("a", pa.int64())])))
    structs = pa.array([{"b": None}, None, {"b": "x"}, None], pa.struct([("b", pa.string())]))
    rows = pa.table({"n": range(4), "lists": lists, "structs": structs})
    for load in (rows, rows.slice(3)):
        lake.load(load, table_name="t", write_disposition="merge", primary_key="n")
    files = [task.file.file_path for task in lake.table("t").scan().plan_files()]
    tables = [pq.read_table(f.removeprefix("file://"), columns=rows.column_names) for f in files]
    back = [row for table in tables for row in table.to_pylist()]
    assert sorted(back, key=lambda row: row["n"]) == rows.to_pylist()


def test_a_column_of_nulls_waits_for_its_type(lake: Lake) -> None:
    """A null-typed column is left out until a load brings values, and rows before have null."""
    lake.load(pa.table({"n": [1], "v": pa.nulls(1)}), table_name="t")
    assert "v" not in lake.table("t").schema().column_names
    lake.load(pa.table({"n": [2], "v": ["x"]}), table_name="t")
    lake.load(pa.table({"n": [3], "v": pa.nulls(1)}), table_name="t")
    assert [(r["n"], r["v"]) for r in lake.rows("t")] == [(1, None), (2, "x"), (3, None)]


def test_an_arrow_type_without_a_counterpart_is_rejected(lake: Lake) -> None:
    """The error names the type."""
    duration = pa.array([timedelta(seconds=1)])
    error = lake.rejected(pa.table({"v": duration}), table_name="t")
    assert "duration" in str(error)


def test_a_column_without_an_iceberg_type_names_itself() -> None:
    """A type that only Arrow has is rejected with one sentence."""
    from floe_ingestion_defs.destinations.impl.iceberg.files.schema import iceberg_type_of_arrow

    with pytest.raises(InvalidHint, match="duration"):
        iceberg_type_of_arrow(pa.duration("s"), iter(range(9)))


def test_a_value_that_does_not_fit_is_rejected(lake: Lake) -> None:
    """An unsigned number beyond a long is an error and no other number."""
    with pytest.raises(Exception, match="do not fit the type of column `v`"):
        lake.load(pa.table({"v": pa.array([2**64 - 1], pa.uint64())}), table_name="t")
    assert lake.tables() == set()


def test_names_are_normalized(lake: Lake) -> None:
    """Columns get dlt's names in rows and in Arrow."""
    lake.load([{"Order ID": 1, "naïve-Col": 2, "1st": 3}], table_name="My Table")
    assert lake.rows("my_table") == [{"order_id": 1, "na_ve_col": 2, "_1st": 3}]
    lake.load(pa.table({"Order ID": [4], "naïve-Col": [5], "1st": [6]}), table_name="My Table")
    assert len(lake.rows("my_table")) == 2


def test_rows_and_arrow_meet_in_one_table(lake: Lake) -> None:
    """A table loaded from rows takes Arrow, and the other way around."""
    lake.load([{"n": 1, "v": "a"}], table_name="t")
    lake.load(pa.table({"n": [2], "v": ["b"]}), table_name="t")
    lake.load([{"n": 3, "v": "c"}], table_name="t")
    assert lake.rows("t") == [{"n": n, "v": v} for n, v in ((1, "a"), (2, "b"), (3, "c"))]


@pytest.mark.parametrize("nested", [False, True])
def test_rows_with_two_columns_of_one_name_are_rejected(nested: bool, lake: Lake) -> None:
    """They would be loaded, and the column be null in every row."""
    ones = [pa.array([1]), pa.array([2])]
    names = ["a", "a"]
    rows = pa.table({"id": [0]}).append_column("x", ones[0])
    if nested:
        rows = rows.set_column(1, "s", pa.StructArray.from_arrays(ones, names))
    else:
        rows = pa.Table.from_arrays([rows["id"].combine_chunks(), *ones], ["id", *names])
    error = lake.rejected(rows, table_name="t")
    assert isinstance(error, InvalidHint)
    assert "several fields named `a`" in str(error)
    assert "t" not in lake.tables()
