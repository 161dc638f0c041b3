"""Maintenance that faults are tried on, and how a process runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from faults import boundaries
from faults.compactions import compact_all
from faults.contents import Contents, read_contents
from faults.expiries import expire_all, expire_and_sweep
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.manifests import rewrite_manifests

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["compaction", "expiry", "expiry and sweep", "rewrite of manifests"]


def rewrite_all(namespace: str) -> int:
    """Rewrite the manifests of the tables but dlt's own, and return how many are gone."""
    dataset = Dataset(open_catalog(), namespace)
    names = sorted(identifier[-1] for identifier in dataset.catalog.list_tables(dataset.namespace))
    results = [rewrite_manifests(dataset, name) for name in names if "dlt_" not in name]
    return sum(result.manifests_before - result.manifests_after for result in results)


# Each returns how much was done.
MAINTENANCE: dict[Kind, Callable[[str], int]] = {
    "compaction": compact_all,
    "expiry": expire_all,
    "expiry and sweep": expire_and_sweep,
    "rewrite of manifests": rewrite_all,
}


def maintain(kind: Kind, namespace: str) -> int:
    """Maintain the tables of a dataset, and return how much was done."""
    return MAINTENANCE[kind](namespace)


def read_and_maintain(kind: Kind, namespace: str) -> tuple[list[Contents], int]:
    """Read a dataset, maintain it, read it again, and return how much is still to do at last."""
    before = read_contents(namespace)
    maintain(kind, namespace)
    return [before, read_contents(namespace)], maintain(kind, namespace)


def list_boundaries(kind: Kind, namespace: str) -> list[str]:
    """Return the names of the boundaries that maintenance passes."""
    names: list[str] = []
    boundaries.watch(boundaries.record(names))
    maintain(kind, namespace)
    return names


def maintain_and_die_at(boundary: int, kind: Kind, namespace: str) -> None:
    """Maintain the tables of a dataset and kill this process at a boundary."""
    boundaries.watch(boundaries.kill_at(boundary))
    maintain(kind, namespace)
