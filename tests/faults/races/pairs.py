"""Merges of two rows in two files each, beside loads of other rows of the same table.

The table is that of `long_reads`: row n is in file n modulo 4. The writer's loads change all rows
of the first file. A merge changes a row of the second file and the one after it, of the third.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults import boundaries
from faults.races.long_reads import FILES, ROWS
from faults.races.races import load_rows
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.changes import merge_mode
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from faults.races.long_reads import Read

_PREFIX = "pair"


def first_of(number: int) -> int:
    """The first row of the pair that a merge changes."""
    return number * FILES % ROWS + 1


def merge_pair(number: int, namespace: str, folder: Path, hook: boundaries.Hook) -> None:
    """Merge two rows with the merge's number as their version, each deleted by position."""
    merge_mode.SMALL_FILE_BYTES = 0
    name, first = f"{_PREFIX}{number}", first_of(number)
    rows = [{"id": n, "version": name} for n in (first, first + 1)]
    load_rows(name, rows, "merge", namespace, folder / name, hook)


def list_boundaries(number: int, namespace: str, folder: Path) -> list[str]:
    """Return the names of the boundaries that a merge passes."""
    names: list[str] = []
    merge_pair(number, namespace, folder, boundaries.record(names))
    return names


def merge_and_die_at(boundary: int, number: int, namespace: str, folder: Path) -> None:
    """Merge two rows and kill this process at a boundary."""
    merge_pair(number, namespace, folder, boundaries.kill_at(boundary))


def merge_and_die_when(boundary: str, number: int, namespace: str, folder: Path) -> None:
    """Merge two rows and kill this process at the first boundary of that name."""
    merge_pair(number, namespace, folder, boundaries.kill_when(boundary))


def committed_merges(namespace: str) -> list[int]:
    """Return the numbers of the merges that the log has."""
    view = Dataset(open_catalog(), namespace).log.read()
    assert view is not None
    merges = (name for name in view.pipelines if name.startswith(_PREFIX))
    return sorted(int(name.removeprefix(_PREFIX)) for name in merges)


def after_merges(version: int, merges: Iterable[int]) -> Read:
    """The rows after so many loads of the writer, and merges in their order."""
    versions = {n: f"v{version if n % FILES == 0 else 0}" for n in range(ROWS)}
    for number in merges:
        first = first_of(number)
        versions[first] = versions[first + 1] = f"{_PREFIX}{number}"
    return sorted(versions.items())
