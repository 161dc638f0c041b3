"""Partitioning, sort order and table properties, as dlt's hints ask for them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.destinations.impl.filesystem.iceberg_adapter import iceberg_adapter, iceberg_partition
from pyiceberg.table.sorting import NullOrder

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake, Row

MOMENT = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
ROWS: list[Row] = [
    {
        "id": n,
        "text": f"{'abc'[n % 3]}-éé-{n}",
        "at": MOMENT.replace(year=1968 + n % 4, month=1 + n % 12, day=1 + n, hour=n % 24),
        "day": date(1969 + n % 3, 12 - n % 5, 1 + n),
        "amount": Decimal(n - 10) / 4,
        "flag": n % 2 == 0,
        "clock": time(n, 30),
        "blob": bytes([n % 5, 255]),
    }
    for n in range(24)
]
NULLS: list[Row] = [{"id": 100 + n, "text": None, "at": None, "day": None} for n in range(3)]

PARTITIONS: dict[str, Any] = {
    "identity of text": iceberg_partition.identity("text"),
    "identity of a bool": iceberg_partition.identity("flag"),
    "identity of a date": iceberg_partition.identity("day"),
    "identity of a timestamp": iceberg_partition.identity("at"),
    "identity of a decimal": iceberg_partition.identity("amount"),
    "identity of a time": iceberg_partition.identity("clock"),
    "identity of bytes": iceberg_partition.identity("blob"),
    "year of a timestamp": iceberg_partition.year("at"),
    "month of a timestamp": iceberg_partition.month("at"),
    "day of a timestamp": iceberg_partition.day("at"),
    "hour of a timestamp": iceberg_partition.hour("at"),
    "year of a date": iceberg_partition.year("day"),
    "month of a date": iceberg_partition.month("day"),
    "day of a date": iceberg_partition.day("day"),
    "bucket of a number": iceberg_partition.bucket(4, "id"),
    "bucket of text": iceberg_partition.bucket(4, "text"),
    "bucket of a timestamp": iceberg_partition.bucket(4, "at"),
    "bucket of a decimal": iceberg_partition.bucket(4, "amount"),
    "truncate of text": iceberg_partition.truncate(3, "text"),
    "truncate of a number": iceberg_partition.truncate(10, "id"),
    "truncate of a decimal": iceberg_partition.truncate(100, "amount"),
    "several": [iceberg_partition.year("at"), "flag", iceberg_partition.bucket(2, "id", "b")],
}


def laid_out(rows: list[Row], partition: Any = None, **arguments: Any) -> Any:
    properties = arguments.pop("table_properties", None)
    resource = dlt.resource(rows, **{"name": "t", **arguments})
    return iceberg_adapter(resource, partition=partition, table_properties=properties)


def read_file(lake: Lake, path: str, name: str = "t") -> pa.Table:
    """One data file's rows, wherever it is stored."""
    with lake.table(name).io.new_input(path).open() as stream:
        return pq.read_table(stream)


def assert_rows_are_where_they_belong(lake: Lake, name: str = "t") -> None:
    """Each row of each file has the file's partition values, by the transforms themselves."""
    table = lake.table(name)
    spec, schema = table.spec(), table.schema()
    for task in table.scan().plan_files():
        rows = read_file(lake, task.file.file_path, name)
        for position, field in enumerate(spec.fields):
            source = schema.find_field(field.source_id)
            transform = field.transform.transform(source.field_type)
            internal = source.field_type
            for value in rows[source.name].to_pylist():
                from pyiceberg.expressions.literals import literal

                given = None if value is None else literal(value).to(internal).value
                assert transform(given) == task.file.partition[position], (name, field.name, value)


@pytest.mark.slow
@pytest.mark.also_on_rest(all_cases=True)
def test_rows_are_split_by_partition(lake: Lake) -> None:
    """A file's rows are of its partition, nulls are one, and scans by it find every row."""
    tables = {f"t{number}": kind for number, kind in enumerate(PARTITIONS)}

    @dlt.source(name="partitioned")
    def partitioned() -> Iterator[Any]:
        for name, kind in tables.items():
            yield laid_out(ROWS + NULLS, PARTITIONS[kind], name=name)

    for _ in range(2):
        lake.load(partitioned())
    for name, kind in tables.items():
        assert_rows_are_where_they_belong(lake, name)
        assert lake.values(name, "id") == sorted([r["id"] for r in ROWS + NULLS] * 2), kind
        for row in ROWS[::7]:
            found = lake.table(name).scan(row_filter=f"id = {row['id']}").to_arrow().to_pylist()
            assert [{k: f[k] for k in row} for f in found] == [row, row], kind


@pytest.mark.also_on_rest
def test_the_spec_has_the_names_that_were_given(lake: Lake) -> None:
    """A partition field is named after its column and transform, or as the adapter says."""
    specs = [
        "flag",
        iceberg_partition.month("at"),
        iceberg_partition.bucket(8, "id", "shard"),
        iceberg_partition.truncate(2, "text"),
    ]
    lake.load(laid_out(ROWS, specs))
    fields = [(f.name, str(f.transform)) for f in lake.table("t").spec().fields]
    assert fields == [
        ("flag", "identity"),
        ("at_month", "month"),
        ("shard", "bucket[8]"),
        ("text_trunc_2", "truncate[2]"),
    ]


def test_dlt_s_partition_hint_is_an_identity(lake: Lake) -> None:
    """The column hint `partition`, as of dlt's other destinations."""
    columns: Any = {"flag": {"partition": True}}
    lake.load(ROWS, table_name="t", columns=columns)
    assert [(f.name, str(f.transform)) for f in lake.table("t").spec().fields] == [
        ("flag", "identity")
    ]
    assert_rows_are_where_they_belong(lake)


def test_partition_columns_are_named_as_in_the_source(lake: Lake) -> None:
    """dlt's naming applies to the adapter's columns too."""
    lake.load(laid_out([{"Order Day": date(2026, 1, n)} for n in (1, 2)], "Order Day"))
    assert [f.name for f in lake.table("t").spec().fields] == ["order_day"]


@pytest.mark.also_on_rest
def test_a_table_with_many_partitions_is_loaded_in_one_snapshot(lake: Lake) -> None:
    """More partitions than files are held open, in rows that go to and fro between them."""
    rows = [{"id": n, "part": n % 150} for n in range(1500)]
    lake.load(laid_out(rows, "part"))
    assert_rows_are_where_they_belong(lake)
    assert lake.values("t", "id") == list(range(1500))
    assert lake.snapshots("t") == 1
    assert lake.table("t").scan(row_filter="part = 77").to_arrow().num_rows == 10


def test_a_scan_of_one_partition_opens_its_files_only(lake: Lake) -> None:
    """Partition values are in the metadata, where every engine prunes by them."""
    lake.load(laid_out(ROWS, iceberg_partition.year("at")))
    scan = lake.table("t").scan(row_filter="at >= '1970-01-01T00:00:00+00:00'")
    assert len(list(scan.plan_files())) < len(list(lake.table("t").scan().plan_files()))
    assert scan.to_arrow().num_rows == sum(r["at"].year >= 1970 for r in ROWS)


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.parametrize("partitioned", [False, True])
def test_files_of_a_sorted_table_are_sorted(lake: Lake, partitioned: bool) -> None:
    """The column hint `sort` orders rows within each file, and is in the table's metadata."""
    columns: Any = {"id": {"sort": True}}
    rows = [{"id": (n * 37) % 101, "part": n % 3} for n in range(100)]
    for _ in range(2):
        lake.load(laid_out(rows, "part" if partitioned else None, columns=columns,
                           table_properties={"owner": "me"}))  # fmt: skip
    order = lake.table("t").sort_order()
    assert [lake.table("t").schema().find_column_name(f.source_id) for f in order.fields] == ["id"]
    for task in lake.table("t").scan().plan_files():
        ids = read_file(lake, task.file.file_path)["id"].to_pylist()
        assert ids == sorted(ids)
        assert task.file.sort_order_id == order.order_id == 1
    assert len(lake.rows("t")) == 200


@pytest.mark.parametrize(
    ("strategy", "loads", "expected"),
    [("delete-insert", 3, {1}), ("scd2", 2, {1, None}), ("scd2", 3, {1})],
)
def test_a_rewritten_file_stays_in_its_sort_order(
    lake: Lake, strategy: Any, loads: int, expected: set[int | None]
) -> None:
    """Of rows that are retired it is not said: they may be sorted by what retires them.

    The third load retires rows of two files, which become one and are sorted again.
    """
    columns: Any = {"id": {"sort": True}}
    disposition: Any = {"disposition": "merge", "strategy": strategy}
    for rows in (range(10), range(5, 15), range(4))[:loads]:
        lake.load(
            dlt.resource([{"id": n, "v": len(rows)} for n in rows], name="t", columns=columns),
            write_disposition=disposition,
            primary_key="id",
        )
    table = lake.table("t")
    orders = set()
    for task in table.scan().plan_files():
        ids = read_file(lake, task.file.file_path)["id"].to_pylist()
        assert ids == sorted(ids)
        orders.add(task.file.sort_order_id)
    assert orders == expected


def test_a_file_sorted_by_a_floating_point_number_claims_no_sort_order(lake: Lake) -> None:
    """Arrow puts NaN beside the nulls, and Iceberg above all numbers."""
    rows = pa.table({"v": [2.0, float("nan"), None, 1.0]})
    lake.load(rows, table_name="t", columns={"v": {"sort": True}})
    (task,) = lake.table("t").scan().plan_files()
    assert lake.table("t").sort_order().order_id == 1
    assert task.file.sort_order_id is None


def test_a_sorted_table_is_sorted_with_nulls(lake: Lake) -> None:
    """Nulls stand where the table's metadata says, and none is lost."""
    columns: Any = {"id": {"sort": True}}
    rows = [{"n": n, "id": None if n % 3 == 0 else n} for n in range(10, 0, -1)]
    lake.load(rows, table_name="t", columns=columns)
    (task,) = lake.table("t").scan().plan_files()
    ids = read_file(lake, task.file.file_path)["id"].to_pylist()
    (field,) = lake.table("t").sort_order().fields
    assert field.null_order == NullOrder.NULLS_FIRST
    assert ids == [None, None, None, 1, 2, 4, 5, 7, 8, 10]


def test_table_properties_are_set_at_creation(lake: Lake) -> None:
    """Properties of the adapter are the new table's."""
    properties = {"write.parquet.compression-codec": "gzip", "owner": "me"}
    lake.load(laid_out(ROWS, "flag", table_properties=properties))
    assert properties.items() <= lake.table("t").properties.items()
    (task, *_) = lake.table("t").scan().plan_files()
    footer = pq.read_metadata(task.file.file_path.removeprefix("file://"))
    assert footer.row_group(0).column(0).compression == "GZIP"


@pytest.mark.parametrize(
    ("codec", "level", "written"),
    [
        ("UNCOMPRESSED", "1", "UNCOMPRESSED"),
        ("snappy", "3", "SNAPPY"),
        ("zstd", "99", "ZSTD"),
        ("gzip", "fast", "GZIP"),
        ("lzo", "1", "ZSTD"),
    ],
)
def test_a_compression_that_arrow_cannot_write_fails_no_load(
    lake: Lake, codec: str, level: str, written: str
) -> None:
    """Such a property of another engine would block the table after the load's commit."""
    properties = {
        "write.parquet.compression-codec": codec,
        "write.parquet.compression-level": level,
    }
    lake.load(laid_out(ROWS, "flag", table_properties=properties))
    (task, *_) = lake.table("t").scan().plan_files()
    footer = pq.read_metadata(task.file.file_path.removeprefix("file://"))
    assert footer.row_group(0).column(0).compression == written


def test_a_table_keeps_its_layout(lake: Lake) -> None:
    """A layout is a new table's; a load that asks for another one is loaded into the old."""
    lake.load(laid_out(ROWS, "flag"))
    lake.load(laid_out(ROWS, iceberg_partition.year("at")))
    assert [f.name for f in lake.table("t").spec().fields] == ["flag"]
    assert_rows_are_where_they_belong(lake)


def test_nested_tables_are_not_partitioned_with_their_root(lake: Lake) -> None:
    """A layout is of the table that it was given for."""
    lake.load(laid_out([{"id": 1, "flag": True, "tags": ["x"]}], "flag"))
    assert lake.table("t__tags").spec().is_unpartitioned()
    assert lake.values("t__tags", "value") == ["x"]


@pytest.mark.parametrize(
    ("partition", "said"),
    [
        (iceberg_partition.identity("nothing"), "nothing"),
        (iceberg_partition.year("text"), "year"),
        (iceberg_partition.hour("day"), "hour"),
        (iceberg_partition.bucket(3, "flag"), "bucket"),
    ],
)
def test_an_invalid_partition_transform_is_rejected(lake: Lake, partition: Any, said: str) -> None:
    """The error names the table and what is wrong, and no table is made."""
    error = lake.rejected(laid_out(ROWS, partition))
    assert isinstance(error, InvalidHint)
    assert "lake.t" in str(error)
    assert said in str(error)
    assert lake.tables() == set()
