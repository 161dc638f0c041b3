"""Compacting on a Ray cluster of two worker processes, beside one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.case import Case
from benchmarks.cases.compaction import FILES, TABLE, load_small_files
from benchmarks.measure import Measurement
from benchmarks.report import FLOE, Row, at_least
from benchmarks.sides import DATASET, open_catalog

if TYPE_CHECKING:
    from benchmarks.runner import Bench

# So small that the table is some ten tasks.
TARGET_BYTES = 24 * 1024 * 1024


def compare(bench: Bench) -> list[Row]:
    """Compare the same compaction on one worker and on two."""
    bench.prepare("small-files", load_small_files)
    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from servers.ray_cluster import running_ray

    folder = bench.root / "run"
    folder.mkdir(parents=True, exist_ok=True)
    measured = {}
    cores = sorted(os.sched_getaffinity(0))
    for workers in (1, 2):
        # A core for each: decoding and encoding use all that there are.
        os.sched_setaffinity(0, cores[:workers])
        with running_ray(folder, workers) as address:
            os.sched_setaffinity(0, cores)
            measured[workers] = bench.measure("small-files", compact_on_ray, 1, address=address)
    one, two = measured[1].whole_seconds, measured[2].whole_seconds
    columns = {f"{FLOE}, 2 workers": measured[2], f"{FLOE}, 1 worker": measured[1]}
    return [Row(f"compact {FILES:,} small files on Ray", columns, [at_least(1.6, two, one)])]


def compact_on_ray(home: Path, cache: Path, address: str) -> Measurement:
    """Compact the table on a cluster whose workers have imported what they need."""
    from floe_ingestion_defs.destinations import CompactionOptions, Dataset, compact
    from floe_ingestion_defs.destinations.impl.iceberg.parallel.in_parallel import in_parallel

    os.environ["RAY_ADDRESS"] = address
    list(in_parallel(_import_all, None, range(4), "ray"))
    dataset = Dataset(open_catalog(home), DATASET, rewrite_executor="ray")
    began = time.perf_counter()
    result = compact(dataset, TABLE, CompactionOptions(target_bytes=TARGET_BYTES))
    seconds = time.perf_counter() - began
    if result.files_removed < FILES or result.files_added < 4:
        raise AssertionError(result)
    return Measurement(None, seconds)


def _import_all(_: None, number: int) -> int:

    import floe_ingestion_defs.destinations.impl.iceberg.maintenance.rewrite  # noqa: F401

    time.sleep(0.5)  # So that each worker gets one of the tasks.
    return number


CASES = [Case("compaction-ray", compare)]
