"""Compactions that faults are tried on, and how a process runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults import boundaries, loads
from faults.contents import Contents, read_contents
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.compact import compact
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions

if TYPE_CHECKING:
    from pathlib import Path

EAGER = CompactionOptions(min_files=2)


def compact_all(namespace: str) -> int:
    """Compacts the tables of a dataset but dlt's own, and returns how many data files are gone."""
    dataset = Dataset(open_catalog(), namespace)
    names = [identifier[-1] for identifier in dataset.catalog.list_tables(dataset.namespace)]
    names = sorted(name for name in names if "dlt_" not in name)
    results = [compact(dataset, name, EAGER) for name in names]
    return sum(result.files_removed - result.files_added for result in results)


def read_and_compact(namespace: str) -> tuple[list[Contents], int]:
    """Reads a dataset, compacts it, reads it again, and returns how many files are gone at last."""
    before = read_contents(namespace)
    compact_all(namespace)
    return [before, read_contents(namespace)], compact_all(namespace)


def load_small_files(namespace: str, work: Path) -> None:
    """Runs loads that leave two data files in `events`, and deleted rows in `users`."""
    for kind in ("append", "merge on read"):
        loads.run_before(kind, namespace, work)
        loads.run_again(kind, namespace, work)


def list_boundaries(namespace: str) -> list[str]:
    """The names of the boundaries that the compaction passes."""
    names: list[str] = []
    boundaries.watch(boundaries.record(names))
    compact_all(namespace)
    return names


def compact_and_die_at(boundary: int, namespace: str) -> None:
    """Compacts the dataset and kills this process at a boundary."""
    boundaries.watch(boundaries.kill_at(boundary))
    compact_all(namespace)
