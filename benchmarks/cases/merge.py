"""Merging into 1.5 million orders: 20,000 rows and 200,000 rows, half new, spread evenly."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, STOCK, Row, at_least, exactly
from benchmarks.sides import Side, hints, make_pipeline, row_count, snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

TABLE = "orders"


def load_orders(home: Path, cache: Path, side: Side) -> None:
    """Load all orders, as the table to merge into."""
    rows = tpch.read(tpch.generate(cache, TABLE))
    make_pipeline(side, home, "orders").run(_resource(side, rows, "replace"))


def compare(bench: Bench, rows: int, times: float, *, slow: bool) -> list[Row]:
    """Compare a merge of `rows` rows; stock dlt's slow case is measured once, and on request."""
    measured = {}
    for name, side in ((FLOE, "floe"), (STOCK, "stock")):
        if side == "floe" or not slow or bench.with_slow:
            bench.prepare(f"orders-{side}", load_orders, side=side)
            once = 1 if slow and side == "stock" else None
            measured[name] = bench.measure(
                f"orders-{side}", merge_orders, once, side=side, rows=rows
            )
    floe, stock = measured[FLOE], measured.get(STOCK)
    targets = [
        at_least(times, floe.load_seconds or 0, stock.load_seconds if stock else None),
        exactly(1, floe.snapshots, "snapshots on main"),
    ]
    note = "" if stock else "stock dlt's minutes are measured with `--with-slow` only."
    return [Row(f"merge {rows:,} rows into 1.5 M orders", measured, targets, note)]


def merge_orders(home: Path, cache: Path, side: Side, rows: int) -> Measurement:
    """Merge changed orders."""
    before = snapshots(home, TABLE)
    changed = tpch.changed_orders(tpch.generate(cache, TABLE), rows)
    disposition = {"disposition": "merge", "strategy": "upsert"}
    pipeline = make_pipeline(side, home, "orders")
    measured = run(pipeline, _resource(side, changed, disposition))
    if (found := row_count(home, TABLE)) != tpch.ORDERS + rows // 2:
        msg = f"{found} orders after the merge"
        raise AssertionError(msg)
    return replace(measured, rows=rows, snapshots=snapshots(home, TABLE) - before)


def _resource(side: Side, rows: Any, disposition: Any) -> Any:
    import dlt

    return dlt.resource(
        rows,
        name=TABLE,
        primary_key="o_orderkey",
        write_disposition=disposition,
        **hints(side),
    )


CASES = [
    Case("merge-20k", partial(compare, rows=20_000, times=80, slow=False)),
    Case("merge-200k", partial(compare, rows=200_000, times=1_500, slow=True)),
]
