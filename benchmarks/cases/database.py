"""All orders of a PostgreSQL database: 1.5 million rows, and four times as many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.duckdb_peer import DUCKDB, packages, write_postgres_table
from benchmarks.measure import Stopwatch
from benchmarks.memory import peak_bytes
from benchmarks.orders_database import FEW, TABLE, serving_orders
from benchmarks.packages import installed
from benchmarks.report import FLOE, STOCK, Row, at_most, ratio
from benchmarks.sources import load_with_plugin, load_with_stock

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Measurement
    from benchmarks.runner import Bench

CONNECTORX = f"{STOCK}, ConnectorX"
PARQUET = {
    "duckdb": DUCKDB,
    "connectorx": "ConnectorX into a Parquet file",
    "adbc": "ADBC into a Parquet file",
}
# The newest driver whose wheel is compiled with optimization, and what it needs besides.
OPTIMIZED = ("adbc-driver-postgresql==1.8.0", "importlib-resources==6.5.2")
FLOE_OPTIMIZED = f"{FLOE}, ADBC 1.8.0"
# The longest whole run, relative to each.
LIMITS = {"duckdb": 1.3, "connectorx": 1.6, "adbc": 1.6}


def compare(bench: Bench) -> list[Row]:
    """Compare the whole run with stock dlt's, and with the least that can be done with the rows."""
    with serving_orders(bench, 1) as url:
        floe = bench.measure("database", load_orders, url=url)
        optimized = bench.measure(
            "database", load_orders, packages=installed("adbc", *OPTIMIZED), url=url
        )
        best = bench.measure("database", load_orders_stock, url=url, backend="connectorx")
        # This takes a minute, and is far from any target.
        stock = bench.measure("database", load_orders_stock, 1, url=url, backend="sqlalchemy")
        files = {
            reader: bench.measure(
                "database", write_parquet, packages=packages(), url=url, reader=reader
            )
            for reader in PARQUET
        }
    measured = {FLOE: floe, FLOE_OPTIMIZED: optimized, CONNECTORX: best, STOCK: stock}
    measured |= {PARQUET[reader]: found for reader, found in files.items()}
    targets = [
        at_most(
            LIMITS[reader],
            floe.whole_seconds / found.whole_seconds,
            f"whole run, relative to {PARQUET[reader]}",
            ratio,
        )
        for reader, found in files.items()
    ]
    share = optimized.whole_seconds / files["duckdb"].whole_seconds
    targets.append(
        at_most(LIMITS["duckdb"], share, f"whole run with ADBC 1.8.0, relative to {DUCKDB}", ratio)
    )
    note = "stock dlt with its default backend is measured once; ADBC writes numerics as strings."
    return [Row("1.5 M orders from PostgreSQL", measured, targets, note)]


def grow(bench: Bench) -> list[Row]:
    """Compare the memory of four times the rows."""
    found = {}
    for scale in (1, 4):
        with serving_orders(bench, scale) as url:
            rows = scale * tpch.ORDERS
            found[scale] = bench.measure("database", load_orders, 1, url=url, rows=rows)
    growth = found[4].peak_bytes / found[1].peak_bytes
    target = at_most(1.2, growth, "peak memory, relative to 1.5 M", ratio)
    measured = {FLOE: found[4], f"{FLOE}, 1.5 M": found[1]}
    return [Row("6 M orders from PostgreSQL", measured, [target])]


def compare_readers(bench: Bench) -> list[Row]:
    """Compare the whole run with two readers of the table, and with one."""
    scale = 4
    with serving_orders(bench, scale) as url:
        found = {
            readers: bench.measure(
                "database", load_orders, url=url, rows=scale * tpch.ORDERS, readers=readers
            )
            for readers in (1, 2)
        }
    seconds = found[2].whole_seconds / found[1].whole_seconds
    targets = [
        at_most(0.85, seconds, "whole run, relative to one", ratio),
        at_most(
            1.5, found[2].peak_bytes / found[1].peak_bytes, "peak memory, relative to one", ratio
        ),
    ]
    measured = {f"{FLOE}, 2 readers": found[2], f"{FLOE}, 1 reader": found[1]}
    return [Row("6 M orders from PostgreSQL, first load", measured, targets)]


def load_orders(
    home: Path, cache: Path, url: str, rows: int = tpch.ORDERS, readers: int = 1
) -> Measurement:
    """Load the table through the plugin, with its default options but the number of readers."""
    source = {
        "source_type": "sql_database",
        "source_config": {"table_names": [TABLE], "readers": readers},
        "credentials": url,
        "resources": {},
    }
    return load_with_plugin(home, TABLE, source, {"table_names": [FEW]}, rows)


def load_orders_stock(home: Path, cache: Path, url: str, backend: Any) -> Measurement:
    """Load the table with dlt's `sql_table`."""
    from dlt.sources.sql_database import sql_table

    def resource(table: str) -> Any:
        # ConnectorX does not support SQLAlchemy's driver names.
        more: dict[str, Any] = {"backend_kwargs": {"conn": url}} if backend == "connectorx" else {}
        driver = url.replace("postgresql://", "postgresql+psycopg2://")
        return sql_table(driver, table, backend=backend, **more)

    return load_with_stock(home, TABLE, resource, TABLE, FEW, tpch.ORDERS)


def write_parquet(
    home: Path, cache: Path, url: str, reader: str, rows: int = tpch.ORDERS
) -> Measurement:
    """Read the rows with one statement and write them to one file, without anything else."""
    write = _WRITERS[reader]
    write(url, FEW, home / "few.parquet")
    watch = Stopwatch()
    found = write(url, TABLE, home / "all.parquet")
    measured = watch.stop(rows=found, peak_bytes=peak_bytes())
    if found != rows:
        msg = f"{found} rows in the Parquet file"
        raise AssertionError(msg)
    return measured


def _write_with_connectorx(url: str, table: str, path: Path) -> int:
    import connectorx
    import pyarrow.parquet as pq

    rows: Any = connectorx.read_sql(url, f"select * from {table}", return_type="arrow")
    pq.write_table(rows, path)
    return int(rows.num_rows)


def _write_with_adbc(url: str, table: str, path: Path) -> int:
    import pyarrow.parquet as pq
    from adbc_driver_postgresql import dbapi

    count = 0
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"select * from {table}")
        reader = cursor.fetch_record_batch()
        with pq.ParquetWriter(path, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                count += batch.num_rows
    return count


_WRITERS = {
    "duckdb": write_postgres_table,
    "connectorx": _write_with_connectorx,
    "adbc": _write_with_adbc,
}

CASES = [
    Case("postgres", compare, "Sources"),
    Case("postgres-4x", grow, "Sources"),
    Case("postgres-readers", compare_readers, "Sources"),
]
