"""The merge of 20,000 rows spread over a table, beside Spark's `MERGE INTO` with Iceberg Java."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import tpch
from benchmarks.case import Case
from benchmarks.cases.merge_modes import FEW_ROWS, TABLE, load_orders, merge_spread
from benchmarks.measure import Measurement
from benchmarks.report import FLOE, Row, at_least
from benchmarks.sides import DATASET, open_catalog

if TYPE_CHECKING:
    from benchmarks.runner import Bench

SPARK = "Spark 3.5, Iceberg Java 1.10, merge-on-read"
_JAVA = "-XX:+UseG1GC"
_NOTE = "Spark's time is that of its second merge in one session, so the JVM is warm."


def compare(bench: Bench) -> list[Row]:
    """Compare a merge into 1.5 M orders, and one into 15 M."""
    rows = []
    for scale in (1, 10):
        name = f"orders-{scale}"
        bench.prepare(name, load_orders, scale=scale)
        floe = bench.measure(name, merge_spread, scale=scale, rows=FEW_ROWS, mode="auto")
        spark = bench.measure(name, merge_with_spark, 1, scale=scale)
        target = at_least(1, floe.load_seconds or 0, spark.whole_seconds)
        work = f"merge {FEW_ROWS:,} rows into {scale * 1.5:g} M orders, and in Spark"
        rows.append(Row(work, {FLOE: floe, SPARK: spark}, [target], _NOTE))
    return rows


def merge_with_spark(home: Path, cache: Path, scale: int) -> Measurement:
    """Merge twice with Spark, and measure the second merge."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from servers.spark import running_spark

    catalog = open_catalog(home)
    with catalog.load_table((DATASET, TABLE)).transaction() as transaction:
        transaction.set_properties({"write.merge.mode": "merge-on-read"})
    source = tpch.generate(cache, TABLE, scale)
    seconds = 0.0
    with running_spark(home, "3g", _JAVA) as spark:
        for number, rows in enumerate((FEW_ROWS - 2_000, FEW_ROWS)):
            path = home / f"changed-{number}.parquet"
            changed = pa.Table.from_batches(tpch.changed_orders(source, rows // scale))
            pq.write_table(changed, path)
            began = time.perf_counter()
            spark.sql(
                catalog,
                f"CREATE TEMPORARY VIEW changed USING parquet OPTIONS (path '{path}')",
                f"MERGE INTO {catalog.name}.{DATASET}.{TABLE} t USING changed s "
                "ON t.o_orderkey = s.o_orderkey "
                "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
            )
            seconds = time.perf_counter() - began
    return Measurement(None, seconds)


CASES = [Case("merge-spark", compare)]
