"""Expiries that faults are tried on, and how a process runs them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from faults import loads
from faults.contents import Contents, read_contents
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import expire, orphans
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import ExpiryOptions

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = ExpiryOptions(timedelta(0), 1)


def delete_anything() -> None:
    """Let this process delete young files: a test cannot wait until they are a day old."""
    for module in (orphans, expire):
        vars(module)["DELETE_AFTER_SECONDS"] = 0


def expire_all(namespace: str) -> int:
    """Expire all that can be of the tables but dlt's own, and return how many snapshots did."""
    delete_anything()
    return _expire(Dataset(open_catalog(), namespace))


def expire_and_sweep(namespace: str) -> int:
    """Expire the same snapshots, and delete files that are a day old, as in production."""
    dataset = Dataset(open_catalog(), namespace)
    count = _expire(dataset)
    orphans.remove_orphans(dataset, timedelta(days=1), dry_run=False)
    return count


def _expire(dataset: Dataset) -> int:
    names = [identifier[-1] for identifier in dataset.catalog.list_tables(dataset.namespace)]
    results = {n: expire.expire(dataset, n, AT_ONCE) for n in sorted(names) if "dlt_" not in n}
    expire.remove_expired_files(dataset, results)
    return sum(result.snapshots_expired for result in results.values())


def read_and_expire(namespace: str) -> tuple[list[Contents], set[str], int]:
    """Read a dataset, expire and sweep it, and read it again.

    Returns:
        What was read, the files that were missing at first, and how many snapshots could expire at
        last.
    """
    delete_anything()
    dataset = Dataset(open_catalog(), namespace)
    view = dataset.log.read()
    assert view is not None
    before = read_contents(namespace)
    missing = {path for path in before.live if not view.table.io.new_input(path).exists()}
    expire_all(namespace)
    orphans.remove_orphans(dataset, timedelta(0), dry_run=False)
    return [before, read_contents(namespace)], missing, expire_all(namespace)


def load_snapshots(namespace: str, work: Path) -> None:
    """Run loads that leave three snapshots in `countries`, and two in `users`."""
    for kind in ("replace", "merge"):
        loads.run_before(kind, namespace, work)
        loads.run_again(kind, namespace, work)
