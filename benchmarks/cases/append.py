"""Appending `lineitem` from Arrow: 6 million rows, and four times as many."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, MB, STOCK, Row, at_least, at_most, exactly, megabytes, ratio
from benchmarks.sides import Side, hints, make_pipeline, row_count, snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

TABLE = "lineitem"


def compare(bench: Bench) -> list[Row]:
    """Compare the load step and the memory with stock dlt's."""
    floe = bench.measure("lineitem", append_lineitem, side="floe")
    stock = bench.measure("lineitem", append_lineitem, side="stock")
    targets = [
        at_least(8, floe.load_seconds or 0, stock.load_seconds),
        at_most(
            1 / 3, floe.peak_bytes / stock.peak_bytes, "peak memory, relative to stock dlt", ratio
        ),
        at_most(60 * MB, floe.load_added_bytes, "memory added by the load step", megabytes),
        exactly(1, floe.snapshots, "snapshots on main"),
    ]
    return [Row("append 6 M lineitem from Arrow", {FLOE: floe, STOCK: stock}, targets)]


def grow(bench: Bench) -> list[Row]:
    """Compare the memory of four times the rows."""
    small = bench.measure("lineitem", append_lineitem, side="floe")
    large = bench.measure("lineitem", append_lineitem, 1, side="floe", scale=4)
    target = at_most(
        1.15, large.peak_bytes / small.peak_bytes, "peak memory, relative to 6 M", ratio
    )
    measured = {FLOE: large, f"{FLOE}, 6 M": small}
    return [Row("append 24 M lineitem from Arrow", measured, [target])]


def append_lineitem(home: Path, cache: Path, side: Side, scale: int = 1) -> Measurement:
    """Append all line items to a table that does not exist yet."""
    import dlt

    rows = tpch.read(tpch.generate(cache, TABLE, scale))
    pipeline = make_pipeline(side, home, "lineitem")
    resource = dlt.resource(rows, name=TABLE, write_disposition="append", **hints(side))
    measured = run(pipeline, resource)
    if (found := row_count(home, TABLE)) < tpch.LINEITEMS * scale * 0.99:
        msg = f"{found} line items after the append"
        raise AssertionError(msg)
    return replace(measured, rows=found, snapshots=snapshots(home, TABLE))


CASES = [Case("append", compare), Case("append-4x", grow)]
