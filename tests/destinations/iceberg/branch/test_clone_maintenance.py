"""A clone survives the maintenance of production byte for byte, and production that of a clone."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from destinations.iceberg.branch.world import shop

from floe_ingestion_defs.destinations import CompactionOptions, Dataset, ExpiryOptions, compact
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import expire as expiry
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.expire import (
    expire,
    remove_expired_files,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans

if TYPE_CHECKING:
    from destinations.iceberg.branch.world import World
    from destinations.iceberg.conftest import Lake


def maintain(lake: Lake) -> tuple[int, list[str | None]]:
    """Compact, expire and sweep; return how many snapshots expired, and the doubts about files."""
    dataset = Dataset(lake.catalog, lake.dataset)
    results = {}
    for name in sorted(lake.tables()):
        compact(dataset, name, CompactionOptions(min_files=2))
        results[name] = expire(dataset, name, ExpiryOptions(timedelta(0), 1))
    files = remove_expired_files(dataset, results)
    files += remove_orphans(dataset, timedelta(0), dry_run=False)
    return sum(r.snapshots_expired for r in results.values()), [file.doubt for file in files]


def contents(lake: Lake) -> dict[str, str]:
    """Each file that a snapshot of a table refers to, with a digest of what it holds."""
    found = {}
    for name in lake.tables():
        table = lake.table(name)
        for snapshot in table.metadata.snapshots:
            manifests = snapshot.manifests(table.io)
            paths = {snapshot.manifest_list, *(m.manifest_path for m in manifests)}
            for manifest in manifests:
                entries = manifest.fetch_manifest_entry(table.io)
                paths |= {entry.data_file.file_path for entry in entries}
            for path in paths:
                content = Path(path.removeprefix("file://")).read_bytes()
                found[path] = sha256(content).hexdigest()
    return found


@pytest.mark.usefixtures("sweep_anything")
def test_a_clone_and_production_survive_the_maintenance_of_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "DELETE_AFTER_SECONDS", 0)
    for last in (1, 2, 3):
        world.production.load(shop(last, price=last))
    branch = world.enter_branch()
    branch.load(shop(4))
    cloned = contents(branch)
    snapshots = {n: len(branch.table(n).metadata.snapshots) for n in branch.tables()}
    world.leave_branch()

    expired, doubts = maintain(world.production)
    assert expired > 3
    assert any(doubt and "uses its folder" in doubt for doubt in doubts)
    assert contents(branch) == cloned
    assert branch.values("events", "id") == [1, 2, 3, 4]

    kept, rows = contents(world.production), world.rows()
    world.enter_branch()
    assert maintain(branch)[0] == 0  # Its property gc.enabled is false.
    for name, count in snapshots.items():
        assert len(branch.table(name).metadata.snapshots) >= count
    world.leave_branch()
    assert contents(world.production) == kept
    assert world.rows() == rows
    world.production.load(shop(5))
    assert world.production.values("events", "id") == [1, 2, 3, 4, 5]
