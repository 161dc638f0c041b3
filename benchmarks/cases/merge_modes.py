"""Merges that delete by position: their time as a table grows, and what they cost its readers."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.measure import Measurement, run
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


def compare_sizes(bench: Bench) -> list[Row]:
    """Compare a merge into ten files with one into one, and with the rewrite of all ten."""
    measured = {}
    for name, scale, mode in (
        (f"{FLOE}, 1.5 M rows", 1, "auto"),
        (f"{FLOE}, 15 M rows", 10, "auto"),
        (f"{FLOE}, 15 M rows, copy-on-write", 10, "copy-on-write"),
    ):
        bench.prepare(f"orders-{scale}", load_orders, scale=scale)
        measured[name] = bench.measure(f"orders-{scale}", merge_spread, 1, scale=scale, mode=mode)
    small, large, _ = (found.load_seconds or 0 for found in measured.values())
    target = at_most(3, large / small, "load step, relative to 1.5 M rows", ratio)
    return [Row("merge 20,000 rows spread over 15 M orders", measured, [target])]


def load_orders(home: Path, cache: Path, scale: int) -> None:
    """Load all orders in files of the same size."""
    os.environ["DATA_WRITER__FILE_MAX_ITEMS"] = str(FILE_ROWS)
    rows = tpch.read(tpch.generate(cache, TABLE, scale))
    make_pipeline("floe", home, "orders").run(_resource(rows, "replace"))


def merge_spread(home: Path, cache: Path, scale: int, mode: str) -> Measurement:
    """Merge 20,000 rows that are spread over all files, half of them new."""
    os.environ["DESTINATION__MERGE_MODE"] = mode
    path = tpch.generate(cache, TABLE, scale)
    changed = tpch.changed_orders(path, 20_000 // scale)
    return run(make_pipeline("floe", home, "orders"), _resource(changed, _UPSERT))


def compare_scans(bench: Bench) -> list[Row]:
    """Compare full scans after many merges with those of the table when one load replaces it."""
    bench.prepare("orders-1", load_orders, scale=1)
    found = bench.measure("orders-1", scan_after_merges, 1)
    extra = found.extra or {}
    targets = [
        at_most(1.5, extra[f"{reader}_merged"] / extra[f"{reader}_compacted"], reader, ratio)
        for reader in _READERS
    ]
    return [Row(f"full scan after {MERGES} merges of 20,000 rows", {FLOE: found}, targets)]


def scan_after_merges(home: Path, cache: Path) -> Measurement:
    """Merge two thirds of all rows in many loads, and read the table before and after a rewrite."""
    import pyarrow as pa

    orders = pa.Table.from_batches(tpch.read(tpch.generate(cache, TABLE)))
    began = time.perf_counter()
    step = tpch.ORDERS // 20_000
    for number in range(MERGES):
        rows = orders.take(pa.array(range(number, orders.num_rows, step)))
        make_pipeline("floe", home, "orders").run(_resource(rows.to_batches(), _UPSERT))
    measured = Measurement(None, time.perf_counter() - began)
    extra = {f"{name}_merged": _fastest(read, home) for name, read in _READERS.items()}
    rows = open_catalog(home).load_table((DATASET, TABLE)).scan().to_arrow()
    make_pipeline("floe", home, "orders").run(_resource(rows.to_batches(), "replace"))
    extra |= {f"{name}_compacted": _fastest(read, home) for name, read in _READERS.items()}
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


def _fastest(read: Callable[[Any], int], home: Path) -> float:
    """Return the seconds of the fastest of three reads."""
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
