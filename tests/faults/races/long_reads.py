"""Reads that last while loads and compactions change the table under them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faults import compactions
from faults.races.races import load_rows
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.changes import merge_mode
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

ROWS = 200
FILES = 4
# Per row, what is read.
Read = list[tuple[int, str]]


def load_version(version: str, disposition: str, namespace: str, folder: Path) -> None:
    """Load all rows with a version, in as many files as loads if they are appended."""
    merge_mode.SMALL_FILE_BYTES = 0  # Rows are deleted by position.
    ids = range(ROWS)
    chunks = [ids[n::FILES] for n in range(FILES)] if disposition == "append" else [ids[::4]]
    for number, chunk in enumerate(chunks):
        rows = [{"id": n, "version": version} for n in chunk]
        load_rows("writer", rows, disposition, namespace, folder / f"{version}-{number}")


def change_all_the_time(rounds: int, namespace: str, folder: Path) -> None:
    """Merge a new version of the same rows, and compact the table, in turn."""
    for number in range(1, rounds + 1):
        load_version(f"v{number}", "merge", namespace, folder)
        compactions.compact_all(namespace)


def read_slowly(gate: Path, namespace: str) -> list[Read]:
    """Begin a read in each of two readers before the gate opens, and end them afterwards."""
    dataset = Dataset(open_catalog(), namespace)
    table = dataset.load_table("events")
    assert table is not None
    tasks = list(table.scan().plan_files())
    own = (batch for task in tasks for batch in read_data_file(table.metadata, table.io, task))
    pyicebergs = iter(table.scan().to_arrow_batch_reader())
    found: list[Read] = [[], []]
    for rows, batches in zip(found, (own, pyicebergs), strict=True):
        rows += _pairs(next(batches))
    gate.with_name(f"{gate.name}.reached").touch()
    while not gate.exists():
        time.sleep(0.02)
    for rows, batches in zip(found, (own, pyicebergs), strict=True):
        for batch in batches:
            rows += _pairs(batch)
    return found


def read_all_the_time(gate: Path, namespace: str) -> list[Read]:
    """Read the table again and again until the gate opens.

    Returns:
        The different contents, in the order in which they were first seen.
    """
    found: list[Read] = []
    while not gate.exists():
        rows = read_once(namespace)
        if rows not in found:
            found.append(rows)
        time.sleep(0.05)  # For the others.
    return found


def read_once(namespace: str) -> Read:
    """Read the table as it is now."""
    table = open_catalog().load_table((namespace, "events"))
    return sorted(_pairs(table.scan().to_arrow()))


def _pairs(rows: pa.Table) -> Read:
    columns = rows.select(["id", "version"]).to_pydict()
    return list(zip(columns["id"], columns["version"], strict=True))
