"""A merge that rewrites 1 of 100 files: orders in files clustered by key."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, Row, at_most, exactly, ratio
from benchmarks.sides import DATASET, make_pipeline, open_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

TABLE = "orders"
FILES = 100


def compare(bench: Bench) -> list[Row]:
    """Compare with the same merge into a table of one file, which is completely rewritten."""
    bench.prepare("clustered-100", load_clustered)
    bench.prepare("clustered-1", load_clustered, files=1)
    one_of_many = bench.measure("clustered-100", merge_into_one_file)
    whole = bench.measure("clustered-1", merge_into_one_file)
    share = (one_of_many.load_seconds or 0) / (whole.load_seconds or 1)
    targets = [
        exactly(1, (one_of_many.extra or {}).get("rewritten"), "files rewritten, of 100"),
        at_most(0.5, share, "load step, relative to a table of one file", ratio),
    ]
    measured = {FLOE: one_of_many, f"{FLOE}, a table of one file": whole}
    return [Row("merge 1,000 rows into 1 of 100 files clustered by key", measured, targets)]


def load_clustered(home: Path, cache: Path, files: int = FILES) -> None:
    """Load orders as several files, each with a separate range of keys."""
    import pyarrow as pa

    rows_a_file = tpch.ORDERS // files
    orders = pa.Table.from_batches(tpch.read(tpch.generate(cache, TABLE)))
    orders = orders.sort_by("o_orderkey")
    # The rows as that many appends would have left them, without running them.
    make_pipeline("floe", home, "orders").run(_resource([orders.slice(0, 1)], "replace"))
    table = open_catalog(home).load_table((DATASET, TABLE))
    table.delete()
    names = table.schema().as_arrow().names
    for number in range(files):
        table.append(orders.slice(number * rows_a_file, rows_a_file).select(names))


def merge_into_one_file(home: Path, cache: Path) -> Measurement:
    """Merge 1,000 changed rows, all with keys in one file, which is rewritten."""
    import pyarrow as pa

    os.environ["DESTINATION__MERGE_MODE"] = "copy-on-write"
    before = _data_files(home)
    rows_a_file = tpch.ORDERS // FILES
    orders = pa.Table.from_batches(tpch.read(tpch.generate(cache, TABLE))).sort_by("o_orderkey")
    changed = orders.slice(rows_a_file // 2, 1000)
    del orders
    disposition = {"disposition": "merge", "strategy": "upsert"}
    measured = run(make_pipeline("floe", home, "orders"), _resource([changed], disposition))
    kept = before & _data_files(home)
    return replace(measured, extra={"files": len(before), "rewritten": len(before - kept)})


def _data_files(home: Path) -> set[str]:
    tasks = open_catalog(home).load_table((DATASET, TABLE)).scan().plan_files()
    return {task.file.file_path for task in tasks}


def _resource(rows: Any, disposition: Any) -> Any:
    import dlt

    return dlt.resource(
        rows,
        name=TABLE,
        primary_key="o_orderkey",
        write_disposition=disposition,
    )


CASES = [Case("pruning", compare)]
