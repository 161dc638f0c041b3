"""Releases of a blocked table that faults are tried on, and how a process runs them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pyiceberg.types import LongType

from faults import boundaries
from faults.contents import Contents, read_contents
from faults.races.races import release
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "events"
QUARANTINE = f"{TABLE}____blocked"


def spoil(namespace: str) -> None:
    """Give the name of a column to one of another type, which a committed load does not fit."""
    catalog = open_catalog()
    with catalog.load_table((namespace, TABLE)).update_schema() as update:
        update.rename_column("what", "what_before")
    with catalog.load_table((namespace, TABLE)).update_schema() as update:
        update.add_column("what", LongType())


def list_boundaries(namespace: str) -> list[str]:
    """Return the names of the boundaries that a release passes."""
    names: list[str] = []
    boundaries.watch(boundaries.record(names))
    release(namespace, TABLE)
    return names


def release_and_die_at(boundary: int, namespace: str) -> None:
    """Release the table and kill this process at a boundary."""
    boundaries.watch(boundaries.kill_at(boundary))
    release(namespace, TABLE)


def release_and_read(namespace: str) -> tuple[Contents, int]:
    """Release the table, and return what the dataset then holds, and what another release moves."""
    release(namespace, TABLE)
    return read_contents(namespace), release(namespace, TABLE)


def read_ids(namespace: str) -> tuple[list[int], list[int]]:
    """Return the ids in the blocked table, and then in its quarantine table."""
    dataset = Dataset(open_catalog(), namespace)
    tables = [dataset.load_table(name) for name in (TABLE, QUARANTINE)]
    found = [t.scan().to_arrow()["id"].to_pylist() if t is not None else [] for t in tables]
    return sorted(found[0]), sorted(found[1])


def read_all_the_time(gate: Path, namespace: str) -> list[tuple[list[int], list[int]]]:
    """Read the ids again and again until the gate opens, and return the different ones."""
    found: list[tuple[list[int], list[int]]] = []
    while not gate.exists():
        if (ids := read_ids(namespace)) not in found:
            found.append(ids)
        time.sleep(0.05)  # For the others.
    return found
