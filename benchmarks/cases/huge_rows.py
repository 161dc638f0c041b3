"""One row into a table of rows of 100 kB: the memory must not grow with their number."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, Row, at_most, ratio
from benchmarks.sides import make_pipeline
from benchmarks.sources import expect_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from benchmarks.runner import Bench

TABLE = "documents"
ROWS = 30_000
FEW_ROWS = 3_000
ROW_BYTES = 100_000
BATCH_ROWS = 100
MOST = 1.15


def compare(bench: Bench) -> list[Row]:
    """Compare the memory of each kind of load with that of a tenth of the rows."""
    for rows in (FEW_ROWS, ROWS):
        bench.prepare(f"documents-{rows}", load_documents, rows=rows)

    def measure(rows: int, disposition: str, mode: str) -> Measurement:
        name = f"documents-{rows}"
        return bench.measure(name, load_one, 1, rows=rows, disposition=disposition, mode=mode)

    found = []
    for work, disposition, mode in (
        ("append one row to", "append", "auto"),
        ("merge one row, merge-on-read, into", "merge", "merge-on-read"),
        ("merge one row, copy-on-write, into", "merge", "copy-on-write"),
    ):
        few, many = (measure(rows, disposition, mode) for rows in (FEW_ROWS, ROWS))
        growth = many.peak_bytes / few.peak_bytes
        target = at_most(MOST, growth, f"peak memory, relative to {FEW_ROWS:,} rows", ratio)
        measured = {FLOE: many, f"{FLOE}, {FEW_ROWS:,} rows": few}
        found.append(Row(f"{work} {ROWS:,} rows of 100 kB", measured, [target]))
    return found


def load_documents(home: Path, cache: Path, rows: int) -> None:
    """Load all rows, as the table that one more is loaded into."""
    # dlt holds so many rows before it writes them.
    os.environ["DATA_WRITER__BUFFER_MAX_ITEMS"] = str(BATCH_ROWS)
    make_pipeline("floe", home, "documents").run(_resource(documents(range(rows)), "replace"))


def load_one(home: Path, cache: Path, rows: int, disposition: str, mode: str) -> Measurement:
    """Load one row; a merge replaces the one in the middle."""
    os.environ["DESTINATION__MERGE_MODE"] = mode
    is_merge = disposition == "merge"
    upsert = {"disposition": "merge", "strategy": "upsert"}
    number = rows // 2 if is_merge else rows
    resource = _resource(documents(range(number, number + 1)), upsert if is_merge else "append")
    measured = run(make_pipeline("floe", home, "documents"), resource)
    expect_rows(home, TABLE, rows if is_merge else rows + 1)
    return measured


def documents(numbers: range) -> Iterator[pa.RecordBatch]:
    """Yield rows that Parquet compresses to a twentieth of their size."""
    import random

    import pyarrow as pa

    for start in range(0, len(numbers), BATCH_ROWS):
        ids = numbers[start : start + BATCH_ROWS]
        parts = [random.Random(number).randbytes(500).hex() for number in ids]
        bodies = [part * (ROW_BYTES // len(part)) for part in parts]
        yield pa.record_batch({"id": pa.array(ids, pa.int64()), "body": bodies})


def _resource(rows: Any, disposition: Any) -> Any:
    import dlt

    return dlt.resource(rows, name=TABLE, primary_key="id", write_disposition=disposition)


CASES = [Case("huge-rows", compare)]
