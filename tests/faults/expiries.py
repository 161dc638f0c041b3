"""Expiries that faults are tried on, and how a process runs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from faults import loads
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import expire, orphans
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import ExpiryOptions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pyiceberg.io import FileIO

    from floe_ingestion_defs.destinations.impl.iceberg.files.listing import StoredFile

AT_ONCE = ExpiryOptions(timedelta(0), 1)
AGE = timedelta(days=2)


def delete_anything() -> None:
    """Let this process delete young files: a test cannot wait until they are a day old."""
    for module in (orphans, expire):
        vars(module)["DELETE_AFTER_SECONDS"] = 0


def age(names: Collection[str]) -> None:
    """Let this process see files as if they had been written two days ago.

    An object store sets the times of its objects itself.
    """
    list_files = vars(orphans)["list_files"]

    def list_aged(io: FileIO, folder: str) -> Iterator[StoredFile]:
        for file in list_files(io, folder):
            is_aged = file.path.rpartition("/")[2] in names
            yield replace(file, modified=file.modified - AGE) if is_aged else file

    if names:
        vars(orphans)["list_files"] = list_aged


def expire_all(namespace: str) -> int:
    """Expire all that can be of the tables but dlt's own, and return how many snapshots did."""
    delete_anything()
    dataset = Dataset(open_catalog(), namespace)
    results = expire_snapshots(dataset)
    expire.remove_expired_files(dataset, results)
    return sum(result.snapshots_expired for result in results.values())


def expire_and_sweep(namespace: str) -> int:
    """Expire the same snapshots, and delete files that are a day old, as in production."""
    dataset = Dataset(open_catalog(), namespace)
    results = expire_snapshots(dataset)
    expire.remove_expired_files(dataset, results)
    orphans.remove_orphans(dataset, timedelta(days=1), dry_run=False)
    return sum(result.snapshots_expired for result in results.values())


def expire_snapshots(dataset: Dataset) -> dict[str, expire.ExpiryResult]:
    """Expire all that can be of the tables but dlt's own, and leave the files."""
    names = [identifier[-1] for identifier in dataset.catalog.list_tables(dataset.namespace)]
    return {n: expire.expire(dataset, n, AT_ONCE) for n in sorted(names) if "dlt_" not in n}


def load_snapshots(namespace: str, work: Path) -> None:
    """Run loads that leave three snapshots in `countries`, and two in `users`."""
    for kind in ("replace", "merge"):
        loads.run_before(kind, namespace, work)
        loads.run_again(kind, namespace, work)
