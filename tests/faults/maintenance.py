"""Maintenance that faults are tried on, and how a process runs it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from faults import boundaries, expiries
from faults.compactions import compact_all, load_small_files
from faults.contents import Contents, read_contents
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.manifests import rewrite_manifests
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

Kind = Literal["compaction", "expiry", "expiry and sweep", "rewrite of manifests", "sweep"]


def rewrite_all(namespace: str) -> int:
    """Rewrite the manifests of the tables but dlt's own, and return how many are gone."""
    dataset = Dataset(open_catalog(), namespace)
    names = sorted(identifier[-1] for identifier in dataset.catalog.list_tables(dataset.namespace))
    results = [rewrite_manifests(dataset, name) for name in names if "dlt_" not in name]
    return sum(result.manifests_before - result.manifests_after for result in results)


def sweep_all(namespace: str) -> int:
    """Delete all files that nothing refers to, and return how many."""
    expiries.delete_anything()
    dataset = Dataset(open_catalog(), namespace)
    return len(remove_orphans(dataset, timedelta(0), dry_run=False))


def leave_orphans(namespace: str, work: Path) -> None:
    """Leave the files that a compaction has replaced and an expiry has not deleted."""
    load_small_files(namespace, work)
    compact_all(namespace)
    expiries.expire_snapshots(Dataset(open_catalog(), namespace))


# Each returns how much was done.
MAINTENANCE: dict[Kind, Callable[[str], int]] = {
    "compaction": compact_all,
    "expiry": expiries.expire_all,
    "expiry and sweep": expiries.expire_and_sweep,
    "rewrite of manifests": rewrite_all,
    "sweep": sweep_all,
}

# What leaves something to do for each.
PREPARATIONS: dict[Kind, Callable[[str, Path], None]] = {
    "compaction": load_small_files,
    "expiry": expiries.load_snapshots,
    "rewrite of manifests": load_small_files,
    "sweep": leave_orphans,
}


def maintain(kind: Kind, namespace: str, aged: Collection[str] = ()) -> int:
    """Maintain the tables of a dataset, and return how much was done.

    Args:
        kind: What is done.
        namespace: The dataset.
        aged: The names of files that seem to have been written two days ago.
    """
    expiries.age(aged)
    return MAINTENANCE[kind](namespace)


def read_and_maintain(kind: Kind, namespace: str) -> tuple[list[Contents], set[str], int]:
    """Read a dataset, maintain and sweep it, and read it again.

    Returns:
        What was read, the files that were missing at first, and how much is still to do at last.
    """
    before = read_contents(namespace)
    view = Dataset(open_catalog(), namespace).log.read()
    assert view is not None
    missing = {path for path in before.live if not view.table.io.new_input(path).exists()}
    maintain(kind, namespace)
    sweep_all(namespace)
    return [before, read_contents(namespace)], missing, maintain(kind, namespace)


def list_boundaries(kind: Kind, namespace: str) -> list[str]:
    """Return the names of the boundaries that maintenance passes."""
    names: list[str] = []
    boundaries.watch(boundaries.record(names))
    maintain(kind, namespace)
    return names


def maintain_and_die_at(
    boundary: int, kind: Kind, namespace: str, aged: Collection[str] = ()
) -> None:
    """Maintain the tables of a dataset and kill this process at a boundary."""
    boundaries.watch(boundaries.kill_at(boundary))
    maintain(kind, namespace, aged)
