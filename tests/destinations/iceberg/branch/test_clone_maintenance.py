"""A clone survives the maintenance of production byte for byte, and production that of a clone."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from destinations.iceberg.branch.world import shop

from floe_ingestion_defs.destinations import (
    CompactionOptions,
    Dataset,
    ExpiryOptions,
    compact,
    rewrite_manifests,
    shared_tables,
)
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import expire as expiry
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.expire import (
    expire,
    remove_expired_files,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans

if TYPE_CHECKING:
    from destinations.iceberg.branch.world import World
    from destinations.iceberg.conftest import Lake

    Files = dict[str, dict[str, str]]

# SeaweedFS's catalog cannot clone, so that a branch on it begins with empty tables of its own.
STACKS = [
    "sqlite",
    pytest.param("postgres_s3", marks=pytest.mark.all_cases),
    pytest.param("rest", marks=[pytest.mark.rest, pytest.mark.all_cases]),
]
NAMES = ["codes", "events", "orders", "orders__lines"]


def dataset_of(lake: Lake) -> Dataset:
    return Dataset(lake.catalog, lake.dataset)


def maintain(lake: Lake) -> tuple[int, int, list[str | None]]:
    """Compact, expire and sweep, with all that could be deleted.

    Returns:
        How many files were compacted, how many snapshots expired, and for each file that nothing of
        the dataset refers to the doubt about it.
    """
    dataset, compacted, results = dataset_of(lake), 0, {}
    for name in sorted(lake.tables()):
        compacted += compact(dataset, name, CompactionOptions(min_files=2)).files_removed
        rewrite_manifests(dataset, name)
        results[name] = expire(dataset, name, ExpiryOptions(timedelta(0), 1))
    files = remove_expired_files(dataset, results)
    files += remove_orphans(dataset, timedelta(0), dry_run=False)
    expired = sum(result.snapshots_expired for result in results.values())
    return compacted, expired, [file.doubt for file in files]


def contents(lake: Lake) -> Files:
    """For each snapshot of each table, the files that it refers to, with a digest of each."""
    found: Files = {}
    for name in sorted(lake.tables()):
        table = lake.table(name)
        for snapshot in table.metadata.snapshots:
            manifests = snapshot.manifests(table.io)
            paths = {snapshot.manifest_list, *(m.manifest_path for m in manifests)}
            for manifest in manifests:
                entries = manifest.fetch_manifest_entry(table.io)
                paths |= {entry.data_file.file_path for entry in entries}
            digests = found.setdefault(f"{name} at {snapshot.snapshot_id}", {})
            for path in sorted(paths):
                with table.io.new_input(path).open() as stream:
                    digests[path] = sha256(stream.read()).hexdigest()
    return found


def rows(lake: Lake) -> dict[str, object]:
    return {name: lake.rows(name) for name in sorted(lake.tables())}


@pytest.fixture
def branch(world: World, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A branch that has loaded once into its clones of production's tables, after three loads."""
    monkeypatch.setattr(expiry, "DELETE_AFTER_SECONDS", 0)
    for last in (1, 2, 3):
        world.production.load(shop(last, price=last))
    entered = world.enter_branch()
    entered.load(shop(4))
    world.leave_branch()
    return entered


@pytest.mark.usefixtures("sweep_anything")
@pytest.mark.parametrize("stack", STACKS, indirect=True)
def test_a_clone_survives_the_maintenance_of_production(world: World, branch: Lake) -> None:
    """All of its snapshots do, while production compacts, expires and sweeps, also after a load."""
    before, cloned = contents(branch), rows(branch)
    for last in (5, 6):
        world.production.load(shop(last, price=last))
        published = rows(world.production)
        compacted, expired, doubts = maintain(world.production)
        assert compacted >= 2
        assert expired >= 3
        said = any(doubt and "uses its folder" in doubt for doubt in doubts)
        assert said == (world.stack.kind != "rest")
        assert rows(world.production) == published
        assert contents(branch) == before
        assert rows(branch) == cloned
    world.enter_branch()
    branch.load(shop(5))
    assert branch.values("events", "id") == [1, 2, 3, 4, 5]
    for name, digests in before.items():
        assert contents(branch)[name] == digests


@pytest.mark.usefixtures("sweep_anything")
@pytest.mark.parametrize("stack", STACKS, indirect=True)
def test_production_survives_the_maintenance_of_a_clone(world: World, branch: Lake) -> None:
    before, published = contents(world.production), rows(world.production)
    world.enter_branch()
    snapshots = contents(branch).keys()
    for last in (5, 6):
        branch.load(shop(last, price=last))
        compacted, expired, _ = maintain(branch)
        assert compacted >= 2
        if world.stack.kind != "rest":
            assert expired == 0  # Its property gc.enabled is false.
            assert snapshots <= contents(branch).keys()
    assert branch.values("events", "id") == [1, 2, 3, 4, 5, 6]
    world.leave_branch()
    assert contents(world.production) == before
    assert rows(world.production) == published
    world.production.load(shop(4))
    assert world.production.values("events", "id") == [1, 2, 3, 4]


@pytest.mark.usefixtures("sweep_anything")
def test_a_branch_keeps_the_files_of_a_table_that_production_had_not_created(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It creates a table of its own, which refers to the files that production has staged."""
    monkeypatch.setattr(expiry, "DELETE_AFTER_SECONDS", 0)
    world.production.load(shop(1))
    with world.monkeypatch.context() as dying:
        dying.setattr(load_step, "publish_own", lambda *_: None)
        world.production.load([{"id": 1}], table_name="fresh", pipeline="another")
    branch = world.enter_branch()
    branch.load([{"id": 2}], table_name="fresh", pipeline="another")
    before = contents(branch)
    world.leave_branch()
    for number in (3, 4):
        world.production.load([{"id": number}], table_name="fresh", pipeline="another")
        maintain(world.production)
    assert world.production.values("fresh", "id") == [1, 3, 4]
    assert contents(branch) == before
    assert branch.values("fresh", "id") == [1, 2]
    assert "fresh" in shared_tables(dataset_of(world.production))


def test_a_table_with_clones_says_so_before_its_files_are_kept(world: World, branch: Lake) -> None:
    """As long as the clones live."""
    shared = shared_tables(dataset_of(world.production))
    assert sorted(name for name in shared if "dlt_" not in name) == NAMES
    assert shared["events"] == f"`{branch.dataset}.events` uses its folder"
    assert shared_tables(dataset_of(branch)) == {}
    for name in branch.catalog.list_tables(branch.dataset):
        world.production.catalog.drop_table(name)
    assert shared_tables(dataset_of(world.production)) == {}
