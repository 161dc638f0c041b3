"""The overhead of Dagster, this project and Iceberg in a run that finds nothing new."""

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import Case
from benchmarks.measure import Measurement
from benchmarks.report import FLOE, Row, at_most, seconds
from benchmarks.runner import Bench

EMPTY = "an empty asset"
EVENTS = 1000
RUNS = 5


def compare(bench: Bench) -> list[Row]:
    """Compare both in one process and on one instance, in alternation."""
    found = bench.measure("dagster-run", run_both)
    empty = found.extra["empty_seconds"] if found.extra else 0.0
    measured = {EMPTY: Measurement(None, empty), FLOE: found}
    added = found.whole_seconds - empty
    target = at_most(1, added, "in addition to the empty asset's run", seconds)
    note = "an incremental source of a database, with all checks; SQLite keeps Dagster's events."
    return [Row("a Dagster run with nothing new", measured, [target], note)]


def run_both(home: Path, cache: Path) -> Measurement:
    """Return the median of the runs after the first, which imports and loads."""

    os.environ["FLOE_HOME"] = str(home / "floe")
    os.environ["EVENTS_DATABASE"] = f"sqlite:///{home / 'events.db'}"
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    _write_events(home / "events.db")

    import dagster as dg

    from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
    from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

    @dg.asset
    def empty() -> None: ...

    definitions = dg.Definitions.merge(
        build_ingestion_definitions(DltIngestionPlugin({"sources": [SOURCE]})),
        dg.Definitions(assets=[empty], jobs=[dg.define_asset_job("nothing", [empty])]),
    )
    (home / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        jobs = [definitions.resolve_job_def(name) for name in ("nothing", "ingestion__events")]
        runs = [partial(job.execute_in_process, instance=instance) for job in jobs]
        for run in runs:
            run()
        times = [[_timed(run) for run in runs] for _ in range(RUNS)]
    nothing, ours = (statistics.median(column) for column in zip(*times, strict=True))
    return Measurement(None, ours, extra={"empty_seconds": nothing})


def _timed(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    if not run().success:
        msg = "a run failed"
        raise AssertionError(msg)
    return time.perf_counter() - started


def _write_events(path: Path) -> None:
    import sqlite3

    with sqlite3.connect(path) as database:
        database.execute("create table events (id integer, at timestamp)")
        database.executemany(
            "insert into events values (?, ?)",
            [(n, f"2026-01-01 00:{n // 60 % 60:02}:{n % 60:02}.000000") for n in range(EVENTS)],
        )


SOURCE = {
    "name": "events",
    "source_type": "sql_database",
    "source_config": {"table_names": ["events"]},
    "credentials": "${EVENTS_DATABASE}",
    "destination_table": "bronze.{resource}",
    "write_mode": "append",
    "cursor_field": "at",
    "columns": {"id": "bigint", "at": "timestamp"},
    "orchestration": {
        "checks": {
            "freshness": {"fail_after": "2d"},
            "unique_key": {"columns": "id"},
            "not_null": {"columns": "id"},
            "row_count_change": True,
        }
    },
}

CASES = [Case("dagster-run", compare, "Dagster")]
