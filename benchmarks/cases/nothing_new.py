"""A load with nothing new: an incremental source whose rows are all loaded already."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, STOCK, Row, at_most, exactly, seconds
from benchmarks.sides import SIDES, Side, hints, make_pipeline, snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

TABLE = "events"
ROWS = 1000


def compare(bench: Bench) -> list[Row]:
    """The whole run counts: there is no package, so a load step hardly is."""
    found = {}
    for side in SIDES:
        bench.prepare(f"events-{side}", load_events, side=side)
        found[side] = bench.measure(f"events-{side}", load_nothing, side=side)
    floe = found["floe"]
    targets = [
        at_most(0.5, floe.whole_seconds, "whole run", seconds),
        exactly(0, floe.snapshots, "snapshots on main"),
    ]
    measured = {FLOE: floe, STOCK: found["stock"]}
    return [Row("a load with nothing new", measured, targets)]


def load_events(home: Path, cache: Path, side: Side) -> None:
    """The load after which there is nothing new."""
    make_pipeline(side, home, "events").run(events(side))


def load_nothing(home: Path, cache: Path, side: Side) -> Measurement:
    """Runs the same pipeline again, from a working directory that knows nothing."""
    before = snapshots(home, TABLE)
    measured = run(make_pipeline(side, home, "events"), events(side))
    return replace(measured, snapshots=snapshots(home, TABLE) - before)


def open_dataset(home: Path, cache: Path, side: Side) -> Measurement:
    """Opens the dataset alone, which restores the pipeline's state and schema."""
    pipeline = make_pipeline(side, home, "events")
    started = time.perf_counter()
    pipeline.sync_destination()
    seconds = time.perf_counter() - started
    return Measurement(None, seconds)


def events(side: Side) -> Any:
    """Events that never become more."""
    import dlt

    rows = [{"id": n, "at": n, "name": f"event {n}"} for n in range(ROWS)]
    resource = dlt.resource(
        [rows], name=TABLE, primary_key="id", write_disposition="append", **hints(side)
    )
    return resource.apply_hints(incremental=dlt.sources.incremental("at"))


CASES = [Case("nothing-new", compare)]
