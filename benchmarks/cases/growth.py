"""The cost of a grown dataset: 10,000 earlier loads in its log, and 500 tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.case import Case
from benchmarks.cases.nothing_new import load_events, load_nothing, open_dataset
from benchmarks.report import FLOE, Row, at_most, ratio
from benchmarks.sides import DATASET, make_pipeline, open_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench
    from floe_ingestion_defs.destinations.impl.iceberg.log.load_log import LoadLog

LOADS = 10_000
TABLES = 500


def compare(bench: Bench) -> list[Row]:
    """Compare a load with nothing new, and opening the dataset, with those of a new dataset."""
    bench.prepare("fresh", load_fresh)
    bench.prepare("grown", load_grown)
    rows = []
    for work, function in (("a load with nothing new", load_nothing), ("opening", open_dataset)):
        fresh = bench.measure("fresh", function, side="floe")
        grown = bench.measure("grown", function, side="floe")
        growth = grown.whole_seconds / fresh.whole_seconds
        target = at_most(1.5, growth, "whole run, relative to a fresh dataset", ratio)
        title = f"{work}, after {LOADS:,} loads and with {TABLES} tables"
        rows.append(Row(title, {FLOE: grown, f"{FLOE}, fresh dataset": fresh}, [target]))
    return rows


def load_fresh(home: Path, cache: Path) -> None:
    """Create a dataset with one load into one table."""
    load_events(home, cache, "floe")


def load_grown(home: Path, cache: Path, loads: int = LOADS, tables: int = TABLES) -> None:
    """Create a dataset with many loads and tables, including those of `load_fresh`.

    The tables come from one real load. The log's rows are loads of pipelines that ran every hour:
    all but the last few are written at once, as a compaction would have left them, and the log
    itself appends and compacts the rest, which gives all rows the layout that it maintains.
    """
    import dlt

    wide = [dlt.resource([{"id": 1}], name=f"table_{n:03d}") for n in range(tables)]
    make_pipeline("floe", home, "wide").run(wide)
    load_events(home, cache, "floe")
    _lengthen_log(home, loads)


def _lengthen_log(home: Path, loads: int) -> None:
    import pyarrow as pa

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.compaction import COMPACT_AFTER_FILES

    log = Dataset(open_catalog(home), DATASET).log
    view = log.read()
    if view is None:
        msg = "no load was made"
        raise AssertionError(msg)
    newest = view.newest_state("events")
    if newest is None:
        msg = "no state was stored"
        raise AssertionError(msg)
    seq = view.last_seq
    bulk = loads - 2 * COMPACT_AFTER_FILES
    old = [
        replace(newest, load_uid=f"old-{n}", seq=n, settled_seq=n - 1, pipeline_name=f"p{n % 50}")
        for n in range(seq + 1, bulk + 1)
    ]
    view.table.append(pa.concat_tables([load.as_row() for load in old]))
    compacted, seq = False, bulk
    # Until it has been compacted, and the next load would compact it again: then it is slowest.
    while not (compacted and _files(log) == COMPACT_AFTER_FILES - 1):
        seq += 1
        entry = replace(newest, load_uid=f"old-{seq}", seq=seq, settled_seq=seq - 1)
        log.append(log.read_or_create(), entry)
        compacted = log.compact_if_due(log.read_or_create()) or compacted
    log.record(log.read_or_create(), seq)


def _files(log: LoadLog) -> int:
    view = log.read()
    snapshot = view.table.current_snapshot() if view else None
    if snapshot is None or snapshot.summary is None:
        msg = "the log is empty"
        raise AssertionError(msg)
    return int(snapshot.summary["total-data-files"] or 0)


CASES = [Case("growth", compare)]
