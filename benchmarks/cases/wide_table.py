"""A table of 1,000 columns: the memory of an append and of a merge, beyond that of the imports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.memory import resident_bytes
from benchmarks.report import FLOE, MB, Row, at_most, megabytes
from benchmarks.sides import make_pipeline
from benchmarks.sources import expect_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from benchmarks.runner import Bench

TABLE = "measurements"
COLUMNS = 1_000
ROWS = 100_000
BATCH_ROWS = 2_000
MOST_ADDED = 512 * MB


def compare(bench: Bench) -> list[Row]:
    """Measure an append into a new table, and a merge of as many rows, half of them new."""
    bench.prepare("wide-table", append_wide)
    measured = {
        f"append {ROWS:,} rows of {COLUMNS:,} columns": bench.measure("wide", append_wide, 1),
        f"merge {ROWS:,} rows of {COLUMNS:,} columns": bench.measure("wide-table", merge_wide, 1),
    }
    rows = []
    for work, found in measured.items():
        added = found.peak_bytes - (found.extra or {})["imported_bytes"]
        target = at_most(MOST_ADDED, added, "peak memory beyond the imports", megabytes)
        rows.append(Row(work, {FLOE: found}, [target]))
    return rows


def append_wide(home: Path, cache: Path, rows: int = ROWS, columns: int = COLUMNS) -> Measurement:
    """Append all rows to a table that does not exist yet."""
    return _load(home, wide_rows(0, rows, columns), "append", rows)


def merge_wide(home: Path, cache: Path, rows: int = ROWS, columns: int = COLUMNS) -> Measurement:
    """Merge as many rows as the table has, half of them with new keys."""
    upsert = {"disposition": "merge", "strategy": "upsert"}
    return _load(home, wide_rows(rows // 2, rows, columns), upsert, rows + rows // 2)


def wide_rows(first: int, rows: int, columns: int) -> Iterator[pa.RecordBatch]:
    """Yield rows with a key and numbers, half of them integers."""
    import numpy as np
    import pyarrow as pa

    for start in range(first, first + rows, BATCH_ROWS):
        count = min(BATCH_ROWS, first + rows - start)
        random = np.random.default_rng(start)
        integers = random.integers(0, 1_000_000, (columns // 2 - 1, count))
        doubles = random.random((columns - columns // 2, count))
        values = [np.arange(start, start + count), *integers, *doubles]
        names = ["id", *(f"column_{number:03d}" for number in range(1, columns))]
        yield pa.RecordBatch.from_arrays([pa.array(each) for each in values], names)


def _load(home: Path, rows: Iterator[Any], disposition: Any, expected: int) -> Measurement:
    import dlt

    pipeline = make_pipeline("floe", home, "wide")
    resource = dlt.resource(rows, name=TABLE, primary_key="id", write_disposition=disposition)
    imported = resident_bytes()
    measured = run(pipeline, resource)
    expect_rows(home, TABLE, expected)
    return replace(measured, extra={"imported_bytes": imported})


CASES = [Case("wide-table", compare)]
