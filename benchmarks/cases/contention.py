"""Eight processes that commit concurrently: eight pipelines, one dataset, one table."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING, Any

from benchmarks.case import Case
from benchmarks.cases.nothing_new import TABLE
from benchmarks.measure import Measurement
from benchmarks.report import FLOE, Row, at_most, seconds
from benchmarks.sides import make_pipeline, row_count

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

PROCESSES = 8
ROWS = 100


def compare(bench: Bench) -> list[Row]:
    """Measure loads into one shared table, and into one table per process."""
    rows = []
    for shared, where in ((True, "one table"), (False, "one table each")):
        found = bench.measure("together", commit_together, shared=shared)
        target = at_most(3, found.whole_seconds, "time until all have finished", seconds)
        work = f"{PROCESSES} processes load concurrently into {where}"
        rows.append(Row(work, {FLOE: found}, [target]))
    return rows


def commit_together(home: Path, cache: Path, shared: bool) -> Measurement:
    """Let eight processes extract, wait for each other, and load concurrently.

    Args:
        home: Folder of the catalog, which contains a dataset.
        cache: Unused.
        shared: Whether all load into one table, or each into its own.
    """
    # Forked after a load into another catalog, because dlt, pyiceberg and pyarrow import many of
    # their modules in the first load: the measurement is about commits.
    make_pipeline("floe", home / "warm", "warm").run([{"n": 1}], table_name=TABLE)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(PROCESSES + 1)
    workers = [
        context.Process(target=_load, args=(home, number, shared, barrier))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(timeout=120)
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - started
    if any(worker.exitcode for worker in workers):
        msg = f"exit codes {[worker.exitcode for worker in workers]}"
        raise AssertionError(msg)
    tables = [TABLE] if shared else [f"{TABLE}_{number}" for number in range(PROCESSES)]
    found = sum(row_count(home, table) for table in tables)
    if found != PROCESSES * ROWS:
        msg = f"{found} rows after {PROCESSES} loads of {ROWS}"
        raise AssertionError(msg)
    return Measurement(None, seconds)


def _load(home: Path, number: int, shared: bool, barrier: Any) -> None:
    table = TABLE if shared else f"{TABLE}_{number}"
    pipeline = make_pipeline("floe", home, f"writer_{number}")
    pipeline.sync_destination()
    pipeline.extract([{"writer": number, "n": n} for n in range(ROWS)], table_name=table)
    pipeline.normalize()
    barrier.wait(timeout=120)
    pipeline.load()


CASES = [Case("contention", compare)]
