"""What was loaded is read by `pipeline.dataset()` and by every engine that reads Iceberg."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import daft
import dlt
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.common.exceptions import MissingDependencyException
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from interoperability.engines import duckdb as duckdb_packages

from floe_ingestion_defs.destinations import iceberg

if TYPE_CHECKING:
    from pathlib import Path

    from destinations.iceberg.conftest import Lake, Row

ROWS: list[Row] = [
    {
        "id": n,
        "text": f"näme {n}",
        "amount": Decimal(n) / 4,
        "at": datetime(2026, 1, 1 + n, 12, tzinfo=UTC),
        "day": date(2026, 1, 1 + n),
        "clock": time(1, 2, n),
        "share": n / 8,
        "flag": n % 2 == 0,
        "blob": bytes([1, n]),
        "maybe": None if n % 3 else n,
        "region": "ab"[n % 2],
    }
    for n in range(9)
]


def make(lake: Lake, rows: list[Row] | None = None) -> dlt.Pipeline:
    """A table that was appended to, merged into and given a column, partitioned by region."""
    pipeline = lake.pipeline()
    columns: Any = {"region": {"partition": True}}

    def load(rows: list[Row]) -> None:
        resource = dlt.resource(
            rows, name="orders", primary_key="id", write_disposition="merge", columns=columns
        )
        pipeline.run(resource)

    rows = rows or ROWS
    load([{k: v for k, v in row.items() if k != "share"} for row in rows[:6]])
    load(rows[3:])
    load([{**row, "share": row["share"]} for row in rows[:4]])
    return pipeline


@pytest.fixture
def orders(lake: Lake) -> dlt.Pipeline:
    return make(lake)


COLUMNS = list(ROWS[0])


def by_id(rows: list[Row]) -> list[Row]:
    return sorted(({c: row[c] for c in COLUMNS} for row in rows), key=lambda row: row["id"])


def plain(rows: list[Row]) -> list[Row]:
    """Decimals and timestamps in one form, whichever time zone or scale a reader shows them in."""
    return [
        {
            k: v.astimezone(UTC) if isinstance(v, datetime) else v for k, v in row.items()
        }
        for row in by_id(rows)
    ]  # fmt: skip


@pytest.mark.also_on_rest
@pytest.mark.usefixtures("orders")
def test_pyiceberg_reads_the_rows(lake: Lake) -> None:
    """All rows, as they were loaded."""
    assert by_id(lake.arrow("orders").to_pylist()) == ROWS
    few = lake.table("orders").scan(row_filter="region = 'a' and id > 2", selected_fields=("id",))
    assert sorted(few.to_arrow()["id"].to_pylist()) == [4, 6, 8]


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.usefixtures("orders")
def test_polars_reads_the_rows(lake: Lake) -> None:
    """Polars opens the table by itself, filters included."""
    table = lake.table("orders")
    # Without the package polars-iceberg, Polars 2.1 takes S3's address and keys from here only, and
    # not from the catalog. It would pass names without a dot, such as `uri`, to its store.
    storage = {name: v for name, v in table.io.properties.items() if name.startswith("s3.")}
    frame = pl.scan_iceberg(table, storage_options=storage)
    assert plain(frame.collect().to_dicts()) == ROWS
    few = frame.filter((pl.col("region") == "a") & (pl.col("id") > 2)).select("id").collect()
    assert sorted(few["id"].to_list()) == [4, 6, 8]


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.usefixtures("orders")
def test_daft_reads_the_rows(lake: Lake) -> None:
    """Daft opens the table by itself, filters included."""
    frame = daft.read_iceberg(lake.table("orders"))
    assert plain(frame.to_pylist()) == ROWS
    few = frame.where("region = 'a' and id > 2").select("id")
    assert sorted(few.to_pydict()["id"]) == [4, 6, 8]


@pytest.mark.usefixtures("orders")
def test_duckdb_reads_the_rows(lake: Lake) -> None:
    """DuckDB queries what pyiceberg scans, by Arrow."""
    connection = duckdb.connect()
    orders = lake.table("orders").scan().to_arrow_batch_reader()  # noqa: F841 (DuckDB finds it)
    back = connection.sql("select * from orders").to_arrow_table().to_pylist()
    assert plain(back) == ROWS


# DuckDB's Iceberg extension comes as a package for 1.5.5, and for none of the versions that the
# extra `duckdb` has pinned, so it gets an environment of its own.
READ_BY_DUCKDB = """
import sys
import duckdb
import pyarrow.parquet as pq
from duckdb_extensions import import_extension

connection = duckdb.connect(config={"extension_directory": sys.argv[1]})
for name in ("avro", "httpfs", "iceberg"):
    import_extension(name, con=connection)
connection.sql("set timezone = 'UTC'")
for metadata, target in zip(sys.argv[2::2], sys.argv[3::2]):
    rows = connection.sql(f"select * from iceberg_scan('{metadata}')").to_arrow_table()
    pq.write_table(rows, target)
"""


@pytest.mark.all_cases
@pytest.mark.usefixtures("orders")
def test_duckdb_s_own_iceberg_reader_reads_the_rows(lake: Lake, tmp_path: Path) -> None:
    """Merged tables, and dlt's own files: with a column added, one widened, and partitioned."""
    small = pa.table({"id": pa.array([1, 2], pa.int32()), "v": ["a", None]})
    large = pa.table({"id": pa.array([3, 2**40], pa.int64()), "w": [0.5, None]})
    for rows in (small, large):
        lake.load(rows, table_name="appended")
    names = ["orders", "appended", "_dlt_loads"]
    tables = [(lake.table(n).metadata_location, str(tmp_path / f"{n}.parquet")) for n in names]
    reader = [sys.executable, "-c", READ_BY_DUCKDB, str(tmp_path / "extensions")]
    environment = {**os.environ, "PYTHONPATH": str(*duckdb_packages())}
    subprocess.run([*reader, *(part for t in tables for part in t)], check=True, env=environment)
    back = {name: pq.read_table(t[1]).to_pylist() for name, t in zip(names, tables, strict=True)}
    assert plain(back["orders"]) == ROWS
    assert sorted((row["id"], row["v"], row["w"]) for row in back["appended"]) == [
        (1, "a", None),
        (2, None, None),
        (3, None, 0.5),
        (2**40, None, None),
    ]
    seqs = sorted(row["seq"] for row in back["_dlt_loads"])
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.also_on_rest(all_cases=True)
def test_a_dataset_gives_relations_arrow_and_data_frames(orders: dlt.Pipeline) -> None:
    """The same rows in each of dlt's forms, whole and in chunks."""
    relation = orders.dataset().orders
    assert plain(relation.arrow().to_pylist()) == ROWS
    frame = relation.df().sort_values("id")
    assert frame["text"].tolist() == [row["text"] for row in ROWS]
    assert len(relation.fetchall()) == len(ROWS)
    chunks = list(relation.iter_arrow(chunk_size=4))
    assert sum(chunk.num_rows for chunk in chunks) == len(ROWS)
    assert relation.select("id", "text").limit(2).arrow().column_names == ["id", "text"]
    assert relation.where("id", "gt", 6).arrow().num_rows == 2


@pytest.mark.also_on_rest
def test_a_dataset_counts_joins_and_aggregates(orders: dlt.Pipeline) -> None:
    """Any SQL of DuckDB's, over as many tables as it names and a table as often as it likes."""
    dataset = orders.dataset()
    assert dataset("select count(*) from orders").fetchone() == (9,)
    assert dataset("select max(x.id) from orders x join orders y using (id)").fetchone() == (8,)
    natural = "select sum(id) from orders natural join orders o2 where maybe is not null"
    assert dataset(natural).fetchone() == (9,)
    groups = dataset("select region, sum(amount) from orders group by all order by 1").fetchall()
    assert groups == [("a", Decimal(5)), ("b", Decimal(4))]
    loads = dataset("select count(*) from orders join _dlt_loads l on l.load_id = _dlt_load_id")
    assert loads.fetchone() == (9,)
    assert dict(dataset.row_counts().fetchall())["orders"] == 9


def test_a_dataset_reads_nested_tables(lake: Lake) -> None:
    """Nested tables are tables, and join their root."""
    pipeline = lake.pipeline()
    pipeline.run([{"id": 1, "tags": ["x", "y"]}, {"id": 2, "tags": []}], table_name="orders")
    rows = pipeline.dataset()(
        "select id, value from orders o join orders__tags t on t._dlt_parent_id = o._dlt_id"
    ).fetchall()
    assert sorted(rows) == [(1, "x"), (1, "y")]


def test_a_dataset_sees_each_load(lake: Lake) -> None:
    """A query reads the tables as they are when it begins, new columns included."""
    pipeline = lake.pipeline()
    dataset = pipeline.dataset()
    pipeline.run([{"id": 1}], table_name="orders")
    with dataset:
        assert dataset("select count(*) from orders").fetchone() == (1,)
        pipeline.run([{"id": 2, "v": "new"}], table_name="orders")
        assert dataset("select count(*) from orders").fetchone() == (2,)
    assert pipeline.dataset()("select id from orders where v = 'new'").fetchone() == (2,)


def test_a_dataset_reads_nested_arrow_columns(lake: Lake) -> None:
    """Structs and lists come back as such."""
    pipeline = lake.pipeline()
    lists = pa.array([[{"a": 1}], None], pa.list_(pa.struct([("a", pa.int64())])))
    pipeline.run(pa.table({"id": [1, 2], "v": lists}), table_name="t")
    assert sorted(pipeline.dataset()("select id, v from t").fetchall()) == [
        (1, [{"a": 1}]),
        (2, None),
    ]


def test_any_process_reads_a_dataset_that_another_loaded(lake: Lake, orders: dlt.Pipeline) -> None:
    """`dlt.dataset` needs no pipeline's working directory, only the dataset's name."""
    dataset = dlt.dataset(iceberg(), lake.dataset, schema=orders.default_schema_name)
    assert dataset("select count(*) from orders").fetchone() == (9,)


def test_an_unknown_table_is_an_error_of_its_own(orders: dlt.Pipeline) -> None:
    """DuckDB says which table there is not."""
    with (
        orders.sql_client() as client,
        pytest.raises(DatabaseUndefinedRelation, match="nothing_of_that_name"),
        client.execute_query("select 1 from nothing_of_that_name"),
    ):
        pass


def test_only_columns_that_a_query_names_are_read(orders: dlt.Pipeline) -> None:
    """A count of a wide table does not read its texts."""
    from floe_ingestion_defs.destinations.impl.iceberg.reading.sql_client import _references

    named = _references("select max(Text) from orders where id > 1", "lake").columns
    assert named is not None
    assert {"text", "id"} <= set(named)
    assert not {"amount", "at"} & set(named)
    for everything in (
        "select * from orders",
        "select o.* from orders o",
        "select orders from orders",
        "from orders",
        "describe orders",
        "select columns('i.*') from orders",
        "select count(*) from orders natural join orders o",
    ):
        assert _references(everything, "lake").columns is None, everything
        with orders.sql_client() as client:
            assert client.execute_sql(everything)


def test_without_duckdb_the_error_names_the_extra(
    orders: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB is not needed to load, and a reader's error says what to install."""
    readers = (
        "floe_ingestion_defs.destinations.impl.iceberg.reading",
        "dlt.destinations.impl.duckdb",
    )
    for package in readers:
        monkeypatch.delitem(sys.modules, f"{package}.sql_client", raising=False)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingDependencyException, match=r"floe-ingestion-defs\[duckdb\]"):
        orders.dataset().orders.arrow()
