"""Compacting 2,000 small files, beside pyiceberg reading and Parquet writing the same rows."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.measure import Measurement, Stopwatch
from benchmarks.memory import forget_peak, peak_bytes
from benchmarks.report import FLOE, Row, at_most, ratio
from benchmarks.sides import DATASET, make_pipeline, open_catalog, row_count

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runner import Bench

TABLE = "lineitem"
FILES = 2_000
PYICEBERG = "pyiceberg's read, Parquet's write"


def compare(bench: Bench) -> list[Row]:
    """Compare a compaction with the least that anyone does: read all rows, and write them."""
    bench.prepare("small-files", load_small_files)
    bench.prepare("small-files-quarter", load_small_files, files=FILES // 4)
    compacted = bench.measure("small-files", compact_table, 1)
    quarter = bench.measure("small-files-quarter", compact_table, 1, files=FILES // 4)
    copied = bench.measure("small-files", read_and_write, 1)
    share = compacted.whole_seconds / copied.whole_seconds
    growth = compacted.peak_bytes / quarter.peak_bytes
    targets = [
        at_most(2, share, "whole, relative to reading and writing", ratio),
        at_most(1.2, growth, "peak memory, relative to a quarter of the rows", ratio),
    ]
    measured = {FLOE: compacted, f"{FLOE}, a quarter": quarter, PYICEBERG: copied}
    return [Row(f"compact {FILES:,} small files of 6 M lineitem", measured, targets)]


def load_small_files(home: Path, cache: Path, files: int = FILES) -> None:
    """Load lineitem in files of some 3,000 rows, in one snapshot."""
    import dlt

    from floe_ingestion_defs.destinations import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
    from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
        arrow_schema,
        data_file_from_footer,
        data_path,
        write_data_file,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import conform

    source = tpch.generate(cache, TABLE)
    rows = tpch.read(source, tpch.LINEITEMS // FILES)
    first = next(rows)
    make_pipeline("floe", home, TABLE).run(dlt.resource([first], name=TABLE))
    table = Dataset(open_catalog(home), DATASET).load_table(TABLE)
    if table is None:
        msg = f"{TABLE} was not loaded"
        raise AssertionError(msg)
    metadata, schema, added = table.metadata, arrow_schema(table.metadata), []
    for batch in islice(rows, files - 1):
        path = data_path(metadata, "rewritten")
        write_data_file(table.io, metadata, path, [conform(batch, schema)])
        added.append(data_file_from_footer(metadata, table.io, path))
    with table.transaction() as transaction:
        add_snapshot(transaction, added)


def compact_table(home: Path, cache: Path, files: int = FILES) -> Measurement:
    """Compact the table."""
    from floe_ingestion_defs.destinations import Dataset, compact

    dataset = Dataset(open_catalog(home), DATASET)
    before = row_count(home, TABLE)
    forget_peak()
    watch = Stopwatch()
    result = compact(dataset, TABLE)
    measured = watch.stop(rows=before, peak_bytes=peak_bytes())
    if result.files_removed < files or row_count(home, TABLE) != before:
        msg = f"{result} of {before} rows"
        raise AssertionError(msg)
    return measured


def read_and_write(home: Path, cache: Path) -> Measurement:
    """Read the table with pyiceberg, and write its rows to one Parquet file."""
    import pyarrow.parquet as pq

    table = open_catalog(home).load_table((DATASET, TABLE))
    forget_peak()
    watch = Stopwatch()
    rows = table.scan().to_arrow()
    pq.write_table(rows, home / "copy.parquet", compression="zstd")
    return watch.stop(rows=rows.num_rows, peak_bytes=peak_bytes())


CASES = [Case("compaction", compare)]
