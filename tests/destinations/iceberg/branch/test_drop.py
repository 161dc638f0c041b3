"""Dropping a branch removes its tables and leaves production unchanged."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dlt
import pyarrow as pa
import pytest
from destinations.iceberg.branch.world import World, configured, shop
from servers.fixtures import make_stack

from floe_ingestion_defs.destinations.impl.iceberg.branch.drop import drop_branch
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import DatasetRefused
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans as maintenance

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pathlib import Path

    from destinations.iceberg.conftest import Lake


def drop_storage(lake: Lake) -> None:
    """What dlt does to forget a whole dataset."""
    pipeline = lake.pipeline()
    pipeline.sync_destination()
    with pipeline.destination_client() as client:
        client.drop_storage()


def test_the_files_of_a_dropped_branch_are_gone(world: World) -> None:
    """Those of its clones, of its own tables, and of tables that it dropped before."""
    world.production.load(shop(2))
    branch = world.enter_branch()
    branch.load(shop(3))
    branch.load([{"id": 1}], table_name="own")
    folder = world.stack.folder / "floe" / "warehouse"
    assert list(folder.rglob("*__pr_123*/**/*.parquet"))
    drop_branch(branch.catalog)
    left = [path for path in folder.rglob("*__pr_123*/**/*") if path.is_file()]
    assert left == []
    world.leave_branch()
    assert world.production.values("events", "id") == [1, 2]


def test_nested_namespaces_of_a_branch_are_dropped(world: World) -> None:
    """pyiceberg's SQL catalog admits them, but no tables in them."""
    branch = world.enter_branch()
    branch.catalog.create_namespace("lake.raw__pr_123")
    assert drop_branch(branch.catalog) == ["lake.raw__pr_123"]
    assert not branch.catalog.namespace_exists("lake.raw__pr_123")


def test_only_a_branch_s_own_namespaces_are_dropped(world: World) -> None:
    """Neither production's, nor another branch's, nor one that is only named like its own."""
    world.production.load(shop(2))
    with pytest.raises(DatasetRefused, match="Only a branch's tables can be dropped"):
        drop_branch(world.production.catalog)
    other = world.enter_branch("pr_12")
    other.load(shop(3))
    mine = world.enter_branch("pr_123@acme/shop")
    mine.load(shop(4))
    before = world.files(), world.pointers()
    world.enter_branch("pr_123@acme/other")
    with pytest.raises(DatasetRefused, match="its owner is pr_123@acme/shop"):
        drop_branch(mine.catalog)
    assert mine.values("events", "id") == [1, 2, 3, 4]
    world.enter_branch("pr_123@acme/shop")
    assert drop_branch(mine.catalog) == [mine.dataset]
    assert other.values("events", "id") == [1, 2, 3]
    assert (world.files(), world.pointers()) == before
    mine.catalog.create_namespace("silver__pr_123")
    mine.catalog.create_table("silver__pr_123.prices", pa.schema([("x", pa.int64())]))
    with pytest.raises(DatasetRefused, match="its owner is unknown"):
        drop_branch(mine.catalog)
    assert mine.catalog.table_exists("silver__pr_123.prices")


@pytest.mark.rest
def test_where_a_clone_cannot_be_dropped_alone_a_branch_begins_empty(
    request: pytest.FixtureRequest,
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Such as SeaweedFS: the log says so, and production's tables outlive the branch's."""
    stack = configured(make_stack("rest", request, tmp_path), monkeypatch)
    world = World(stack, replace(lake, dataset=stack.namespace), monkeypatch)
    world.production.load(shop(2))
    before = world.pointers()
    branch = world.enter_branch()
    extracted: list[int] = []
    with caplog.at_level(logging.WARNING):
        branch.load(shop(3, extracted))
    assert "cannot clone" in caplog.text
    assert extracted == [1, 2, 3]
    assert branch.tables() == {"events", "orders", "orders__lines", "codes"}
    assert drop_branch(branch.catalog) == [branch.dataset]
    assert not branch.catalog.namespace_exists(branch.dataset)
    assert world.pointers() == before
    assert world.production.values("events", "id") == [1, 2]


@pytest.mark.parametrize("stack", ["sqlite", "postgres"], indirect=True)
def test_production_is_the_same_after_a_branch_was_used_evolved_swept_and_dropped(
    world: World, sweep_anything: None
) -> None:
    """Byte for byte, file for file: each step by itself."""
    world.production.load(shop(3))
    world.production.load(shop(4, price=2))
    before = world.files(), world.pointers(), world.rows()
    assert len(before[0]) > 20

    branch = world.enter_branch()

    def use() -> None:
        extracted: list[int] = []
        branch.load(shop(6, extracted, price=3))
        assert extracted == [5, 6]
        assert branch.values("events", "id") == [1, 2, 3, 4, 5, 6]
        prices = {row["id"]: row["price"] for row in branch.rows("orders", "id", "price")}
        assert prices == {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 3}
        assert len(branch.rows("orders__lines")) == 12
        assert branch.values("codes", "code") == ["c6"]

    def evolve() -> None:
        rows = [{"id": 7, "price": 1.5, "note": "new"}]
        orders = dlt.resource(rows, name="orders", write_disposition="merge", primary_key="id")
        branch.load(orders)
        assert branch.table("orders").schema().find_field("note")

    def expire() -> None:
        for name in ("events", "orders", "orders__lines", "codes"):
            table = branch.table(name)
            table.maintenance.expire_snapshots().older_than(datetime.now(UTC)).commit()
            assert len(branch.table(name).metadata.snapshots) == 1

    def sweep() -> None:
        dataset = Dataset(branch.catalog, branch.dataset)
        swept = maintenance.remove_orphans(dataset, timedelta(0), dry_run=False)
        assert swept
        assert all("__pr_123" in file.path for file in swept)
        assert branch.values("events", "id") == [1, 2, 3, 4, 5, 6]

    def delete() -> None:
        branch.table("events").delete("id < 4")
        branch.catalog.drop_table(f"{branch.dataset}.orders")

    def compact() -> None:
        world.monkeypatch.setattr(compaction, "COMPACT_AFTER_FILES", 3)
        for n in range(7, 10):
            branch.load(shop(n).with_resources("events"))
        assert len(branch.table("_dlt_loads").inspect.data_files()) < 4
        assert len(branch.table("_dlt_pipeline_state").inspect.data_files()) < 4

    def forget() -> None:
        drop_storage(branch)
        assert not branch.catalog.namespace_exists(branch.dataset)
        branch.load(shop(6))
        assert branch.values("events", "id") == [1, 2, 3, 4, 5, 6]

    def drop() -> None:
        branch.load([{"id": 1}], table_name="own")
        assert drop_branch(branch.catalog) == [branch.dataset]
        assert not branch.catalog.namespace_exists(branch.dataset)
        assert drop_branch(branch.catalog) == []

    for step in (use, evolve, expire, sweep, delete, compact, forget, drop):
        step()
        assert (world.files(), world.pointers()) == before[:2], step.__name__
    world.leave_branch()
    assert world.rows() == before[2]
    world.production.load(shop(7))
    assert world.production.values("events", "id") == [1, 2, 3, 4, 5, 6, 7]


def test_a_branch_whose_files_production_has_swept_is_dropped_and_created_again(
    world: World, sweep_anything: None
) -> None:
    """The sweep spares what a clone may refer to; deleted by path, it breaks the clone alone."""
    world.production.load(shop(2))
    branch = world.enter_branch()
    branch.load(shop(3).with_resources("events"))
    world.leave_branch()
    world.production.load(shop(4))
    for name in world.production.tables():
        table = world.production.table(name)
        table.maintenance.expire_snapshots().older_than(datetime.now(UTC)).commit()
    dataset = Dataset(world.production.catalog, world.production.dataset)
    left = maintenance.remove_orphans(dataset, timedelta(0), dry_run=False)
    cloned = [file.path for file in left if branch.dataset in str(file.doubt)]
    assert cloned
    assert branch.values("codes", "code") == ["c2"]
    maintenance.remove_orphans(dataset, timedelta(0), dry_run=False, also_delete=cloned)
    before = world.files(), world.pointers(), world.rows()
    world.enter_branch()
    with pytest.raises(FileNotFoundError):
        branch.rows("codes")
    assert drop_branch(branch.catalog) == [branch.dataset]
    branch.load(shop(5))
    assert branch.values("codes", "code") == ["c5"]
    assert branch.values("events", "id") == [1, 2, 3, 4, 5]
    assert (world.files(), world.pointers()) == before[:2]
    world.leave_branch()
    assert world.rows() == before[2]
