"""Compactions that faults are tried on, and how a process runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults import loads
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


def load_small_files(namespace: str, work: Path) -> None:
    """Runs loads that leave two data files in `events`, and deleted rows in `users`."""
    for kind in ("append", "merge on read"):
        loads.run_before(kind, namespace, work)
        loads.run_again(kind, namespace, work)
