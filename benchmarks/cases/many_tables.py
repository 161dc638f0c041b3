"""One load of many small tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, Row, at_most
from benchmarks.sides import DATASET, make_pipeline, open_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

TABLES = 300
MILLISECONDS = 25.0


def compare(bench: Bench) -> list[Row]:
    """Compare the load step with that of dlt's duckdb destination."""
    floe = bench.measure("many-tables", load_many_tables, side="floe")
    duckdb = bench.measure("many-tables", load_many_tables, side="duckdb")
    each = 1000 * (floe.load_seconds or 0) / TABLES
    target = at_most(MILLISECONDS, each, "load step per table", lambda v: f"{v:.1f} ms")
    measured = {FLOE: floe, "dlt's duckdb destination": duckdb}
    return [Row(f"one load of {TABLES} new tables", measured, [target])]


def load_many_tables(home: Path, cache: Path, side: Literal["floe", "duckdb"]) -> Measurement:
    """Load one row into each of many tables that do not exist yet."""
    # The first load imports what others need.
    _pipeline(side, home / "warm").run([{"id": 1}], table_name="warm")
    pipeline = _pipeline(side, home)
    measured = run(pipeline, _resources())
    if side == "floe":
        names = open_catalog(home).list_tables(DATASET)
        if (found := sum(name[-1].startswith("table_") for name in names)) != TABLES:
            msg = f"{found} tables after a load of {TABLES}"
            raise AssertionError(msg)
    return replace(measured, snapshots=None)


def _pipeline(side: Literal["floe", "duckdb"], home: Path) -> Any:
    import dlt

    if side == "floe":
        return make_pipeline("floe", home, "many")
    home.mkdir(parents=True, exist_ok=True)
    return dlt.pipeline(
        "many",
        destination=dlt.destinations.duckdb(str(home / "tables.duckdb")),
        dataset_name=DATASET,
        pipelines_dir=str(home / "dlt"),
    )


def _resources() -> list[Any]:
    import dlt

    return [dlt.resource([{"id": 1}], name=f"table_{number:03d}") for number in range(TABLES)]


CASES = [Case("many-tables", compare)]
