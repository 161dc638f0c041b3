"""Merging into 1.5 million orders: 20,000 rows and 200,000 rows, half new, spread evenly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import tpch
from benchmarks.measure import Measurement, run
from benchmarks.report import Row, at_least, exactly
from benchmarks.runner import Bench
from benchmarks.sides import SIDES, Side, hints, make_pipeline, row_count, snapshots

TABLE = "orders"


def load_orders(home: Path, cache: Path, side: Side) -> None:
    """Loads all orders, as the table that is merged into."""
    rows = tpch.read(tpch.generate(cache, TABLE))
    make_pipeline(side, home, "orders").run(_resource(side, rows, "replace"))


def cases(bench: Bench) -> list[Row]:
    """20,000 and 200,000 rows; the second takes stock dlt more than six minutes."""
    rows = []
    for side in SIDES:
        bench.prepare(f"orders-{side}", load_orders, side=side)
    for count, times, slow in ((20_000, 20, False), (200_000, 150, True)):
        floe = bench.measure("orders-floe", merge_orders, side="floe", rows=count)
        stock = None
        if not slow or bench.with_slow:
            once = 1 if slow else None
            stock = bench.measure("orders-stock", merge_orders, once, side="stock", rows=count)
        targets = [
            at_least(times, floe.load_seconds, stock.load_seconds if stock else None),
            exactly(1, floe.snapshots, "snapshots on main"),
        ]
        note = "" if stock else "stock dlt's minutes are measured with `--with-slow` only."
        work = f"merge {count:,} rows into {tpch.ORDERS / 1e6:.1f} M orders"
        rows.append(Row(work, floe, targets, stock, note))
    return rows


def merge_orders(home: Path, cache: Path, side: Side, rows: int) -> Measurement:
    """Merges changed orders."""
    before = snapshots(home, TABLE)
    changed = tpch.changed_orders(tpch.generate(cache, TABLE), rows)
    disposition = {"disposition": "merge", "strategy": "upsert"}
    pipeline = make_pipeline(side, home, "orders")
    measured = run(pipeline, _resource(side, changed, disposition))
    if (found := row_count(home, TABLE)) != tpch.ORDERS + rows // 2:
        raise AssertionError(f"{found} orders after the merge")
    return replace(measured, snapshots=snapshots(home, TABLE) - before)


def _resource(side: Side, rows: Any, disposition: Any) -> Any:
    import dlt

    return dlt.resource(
        rows,
        name=TABLE,
        primary_key="o_orderkey",
        write_disposition=disposition,
        **hints(side),
    )
