"""Merges that delete by position: their time as a table grows, and what they cost its readers."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.duckdb_scan import scan_with_duckdb
from benchmarks.measure import Measurement, Stopwatch, run
from benchmarks.report import FLOE, Row, at_most, ratio
from benchmarks.sides import DATASET, make_pipeline, open_catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.runner import Bench

TABLE = "orders"
# At most so many rows are in one file, so that scale 10 has ten of them.
FILE_ROWS = 1_500_000
MERGES = 50
FEW_ROWS = 20_000
MANY_ROWS = 2_000_000


def compare_sizes(bench: Bench) -> list[Row]:
    """Compare merges into ten files: with one into one, with the rewrite of all, by their keys."""

    def measure(scale: int, rows: int = FEW_ROWS, mode: str = "auto") -> Measurement:
        name = f"orders-{scale}"
        bench.prepare(name, load_orders, scale=scale)
        return bench.measure(name, merge_spread, 1, scale=scale, rows=rows, mode=mode)

    small, large, many = measure(1), measure(10), measure(10, MANY_ROWS)
    few = {
        f"{FLOE}, 1.5 M rows": small,
        f"{FLOE}, 15 M rows": large,
        f"{FLOE}, 15 M rows, copy-on-write": measure(10, mode="copy-on-write"),
    }
    growth = _ratio_of_steps(large, small)
    by_size = at_most(3, growth, "load step, relative to 1.5 M rows", ratio)
    growth = _ratio_of_steps(many, large)
    by_keys = at_most(3, growth, f"load step, relative to {FEW_ROWS:,} rows", ratio)
    growth = many.peak_bytes / large.peak_bytes
    memory = at_most(1.5, growth, f"peak memory, relative to {FEW_ROWS:,} rows", ratio)
    return [
        Row(f"merge {FEW_ROWS:,} rows spread over 15 M orders", few, [by_size]),
        Row(
            f"merge {MANY_ROWS:,} rows spread over 15 M orders",
            {FLOE: many, f"{FLOE}, {FEW_ROWS:,} rows": large},
            [by_keys, memory],
        ),
    ]


def _ratio_of_steps(one: Measurement, other: Measurement) -> float:
    return (one.load_seconds or 0) / (other.load_seconds or 1)


def load_orders(home: Path, cache: Path, scale: int) -> None:
    """Load all orders in files of the same size."""
    os.environ["DATA_WRITER__FILE_MAX_ITEMS"] = str(FILE_ROWS)
    rows = tpch.read(tpch.generate(cache, TABLE, scale))
    make_pipeline("floe", home, "orders").run(_resource(rows, "replace"))


def merge_spread(home: Path, cache: Path, scale: int, rows: int, mode: str) -> Measurement:
    """Merge rows that are spread over all files, half of them new."""
    os.environ["DESTINATION__MERGE_MODE"] = mode
    path = tpch.generate(cache, TABLE, scale)
    changed = tpch.changed_orders(path, rows // scale)
    measured = run(make_pipeline("floe", home, "orders"), _resource(changed, _UPSERT))
    return replace(measured, rows=rows)


def compare_scans(bench: Bench) -> list[Row]:
    """Compare full scans after many merges with those of the table when one load replaces it."""
    bench.prepare("orders-1", load_orders, scale=1)
    found = bench.measure("orders-1", scan_after_merges, 1)
    extra = found.extra or {}
    targets = [
        at_most(1.5, extra[f"{reader}_merged"] / extra[f"{reader}_compacted"], reader, ratio)
        for reader in (*_READERS, _DUCKDB)
    ]
    return [Row(f"full scan after {MERGES} merges of 20,000 rows", {FLOE: found}, targets)]


def scan_after_merges(home: Path, cache: Path) -> Measurement:
    """Merge two thirds of all rows in many loads, and read the table before and after a rewrite."""
    import pyarrow as pa

    orders = pa.Table.from_batches(tpch.read(tpch.generate(cache, TABLE)))
    watch = Stopwatch()
    step = tpch.ORDERS // 20_000
    for number in range(MERGES):
        rows = orders.take(pa.array(range(number, orders.num_rows, step)))
        make_pipeline("floe", home, "orders").run(_resource(rows.to_batches(), _UPSERT))
    measured = watch.stop()
    extra = _fastest_scans(home, "merged")
    rows = open_catalog(home).load_table((DATASET, TABLE)).scan().to_arrow()
    make_pipeline("floe", home, "orders").run(_resource(rows.to_batches(), "replace"))
    extra |= _fastest_scans(home, "compacted")
    return replace(measured, extra=extra)


def _read_with_pyiceberg(table: Any) -> int:
    return int(table.scan().to_arrow().num_rows)


def _read_with_polars(table: Any) -> int:
    import polars as pl

    return pl.scan_iceberg(table.metadata_location).collect().height


_READERS: dict[str, Callable[[Any], int]] = {
    "pyiceberg": _read_with_pyiceberg,
    "Polars": _read_with_polars,
}


_DUCKDB = "DuckDB"


def _fastest_scans(home: Path, state: str) -> dict[str, float]:
    """Return the seconds of the fastest of three scans by each reader."""
    found = {name: _fastest(read, home) for name, read in _READERS.items()}
    location = open_catalog(home).load_table((DATASET, TABLE)).metadata_location
    rows, found[_DUCKDB] = scan_with_duckdb(location)
    if rows != tpch.ORDERS:
        msg = f"{rows} orders were read"
        raise AssertionError(msg)
    return {f"{name}_{state}": seconds for name, seconds in found.items()}


def _fastest(read: Callable[[Any], int], home: Path) -> float:
    times = []
    for _ in range(3):
        table = open_catalog(home).load_table((DATASET, TABLE))
        began = time.perf_counter()
        if (found := read(table)) != tpch.ORDERS:
            msg = f"{found} orders were read"
            raise AssertionError(msg)
        times.append(time.perf_counter() - began)
    return min(times)


_UPSERT = {"disposition": "merge", "strategy": "upsert"}


def _resource(rows: Any, disposition: Any) -> Any:
    import dlt

    return dlt.resource(rows, name=TABLE, primary_key="o_orderkey", write_disposition=disposition)


CASES = [Case("merge-15m", compare_sizes), Case("merge-scan", compare_scans)]
