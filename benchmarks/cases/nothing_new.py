"""A load with nothing new: an incremental source whose rows have all been loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.case import Case
from benchmarks.measure import Measurement, Stopwatch, run
from benchmarks.report import FLOE, STOCK, Row, at_most, exactly, seconds
from benchmarks.sides import SIDES, Side, hints, make_pipeline, snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

TABLE = "events"
ROWS = 1000


def compare(bench: Bench) -> list[Row]:
    """Compare the whole run: without a package, there is hardly a load step."""
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
    """Run the load after which there is nothing new."""
    make_pipeline(side, home, "events").run(events(side))


def load_nothing(home: Path, cache: Path, side: Side) -> Measurement:
    """Run the same pipeline again, from an empty working directory."""
    before = snapshots(home, TABLE)
    measured = run(make_pipeline(side, home, "events"), events(side))
    return replace(measured, snapshots=snapshots(home, TABLE) - before)


def open_dataset(home: Path, cache: Path, side: Side) -> Measurement:
    """Open only the dataset, which restores the pipeline's state and schema."""
    pipeline = make_pipeline(side, home, "events")
    watch = Stopwatch()
    pipeline.sync_destination()
    return watch.stop()


def events(side: Side) -> Any:
    """Return a source of events that never change."""
    import dlt

    rows = [{"id": n, "at": n, "name": f"event {n}"} for n in range(ROWS)]
    resource = dlt.resource(
        [rows], name=TABLE, primary_key="id", write_disposition="append", **hints(side)
    )
    return resource.apply_hints(incremental=dlt.sources.incremental("at"))


CASES = [Case("nothing-new", compare)]
