"""A branch runs on production's tables and state, and production never notices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from dlt.common.versioned_state import decompress_state
from dlt.pipeline.exceptions import PipelineStepFailed
from servers.fixtures import make_stack
from servers.stack import Stack

from floe_ingestion_defs.branch import branch_namespace
from floe_ingestion_defs.destinations.impl.iceberg import load as loads
from floe_ingestion_defs.destinations.impl.iceberg.branch import clone
from floe_ingestion_defs.destinations.impl.iceberg.branch.drop import drop_branch
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import DatasetRefused
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction
from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import decode_document
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans as maintenance

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

Row = dict[str, Any]


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    kind: Any = getattr(request, "param", "sqlite")
    return configured(make_stack(kind, request, tmp_path), monkeypatch)


def configured(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return stack


@dataclass
class World:
    """Production, and the branch beside it."""

    stack: Stack
    production: Lake
    monkeypatch: pytest.MonkeyPatch

    def enter_branch(self, name: str = "pr_123") -> Lake:
        """From now on this process is the branch's."""
        self.monkeypatch.setenv("FLOE_BRANCH", name)
        return replace(self.production, dataset=branch_namespace(self.production.dataset))

    def leave_branch(self) -> None:
        self.monkeypatch.delenv("FLOE_BRANCH")

    def files(self) -> dict[str, str]:
        """Each file of production's, with a digest of what it holds."""
        folder = self.stack.folder / "floe" / "warehouse"
        return {
            str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pr_" not in str(path.relative_to(folder))
        }

    def pointers(self) -> dict[str, str]:
        """The metadata location of each of production's tables in the catalog."""
        catalog = self.production.catalog
        tables = catalog.list_tables(self.production.dataset)
        return {t[-1]: catalog.load_table(t).metadata_location for t in tables}

    def rows(self) -> dict[str, list[Row]]:
        """Every row of production's."""
        return {name: self.production.rows(name) for name in sorted(self.production.tables())}


@pytest.fixture
def world(stack: Stack, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(stack, replace(lake, dataset=stack.namespace), monkeypatch)


@pytest.fixture
def sweep_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "DELETE_AFTER_SECONDS", 0)


def shop(last: int, extracted: list[int] | None = None, *, price: int = 1) -> Any:
    """A source of events up to one, appended by a cursor, and of orders with nested lines."""

    @dlt.source(name="shop")
    def source() -> Iterator[Any]:
        @dlt.resource(write_disposition="append")
        def events(cursor: Any = dlt.sources.incremental("id")) -> Iterator[Row]:  # noqa: B008
            start = cursor.start_value or 0
            for n in range(start + 1, last + 1):
                if extracted is not None:
                    extracted.append(n)
                yield {"id": n, "at": datetime(2026, 1, n, tzinfo=UTC)}

        @dlt.resource(write_disposition="merge", primary_key="id")
        def orders() -> Iterator[Row]:
            for n in range(max(last - 2, 1), last + 1):
                yield {"id": n, "price": price, "lines": [{"item": f"i{n}"}, {"item": "x"}]}

        @dlt.resource(write_disposition="replace")
        def codes() -> Iterator[Row]:
            yield {"code": f"c{last}"}

        yield from (events, orders, codes)

    return source()


def drop_storage(lake: Lake) -> None:
    """What dlt does to forget a whole dataset."""
    pipeline = lake.pipeline()
    pipeline.sync_destination()
    with pipeline.destination_client() as client:
        client.drop_storage()


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


def test_what_production_loads_later_does_not_reach_the_branch(world: World) -> None:
    """Each goes its own way from the clone on."""
    world.production.load(shop(2))
    branch = world.enter_branch()
    branch.load(shop(3))
    world.leave_branch()
    world.production.load(shop(5))
    world.enter_branch()
    assert branch.values("events", "id") == [1, 2, 3]
    branch.load(shop(4))
    assert branch.values("events", "id") == [1, 2, 3, 4]
    assert world.production.values("events", "id") == [1, 2, 3, 4, 5]


def kill(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_load_that_production_has_not_published_is_published_in_each(world: World) -> None:
    """From the same staged files; a table that comes to be by it is each one's own."""
    world.production.load(shop(2))
    with world.monkeypatch.context() as dying:
        dying.setattr(loads, "publish_own", kill)
        with pytest.raises(PipelineStepFailed):
            world.production.load(shop(4))
        with pytest.raises(PipelineStepFailed):
            world.production.load([{"id": 1}], table_name="fresh", pipeline="another")
    before = world.files(), world.pointers()
    branch = world.enter_branch()
    branch.load(shop(5))
    branch.load([{"id": 2}], table_name="fresh", pipeline="another")
    assert branch.values("events", "id") == [1, 2, 3, 4, 5]
    assert branch.values("fresh", "id") == [1, 2]
    assert "__pr_123" in branch.table("fresh").location()
    assert (world.files(), world.pointers()) == before
    world.leave_branch()
    world.production.load(shop(5))
    world.production.pipeline("another").sync_destination()
    assert world.production.values("events", "id") == [1, 2, 3, 4, 5]
    assert world.production.values("fresh", "id") == [1]


@pytest.mark.parametrize("boundary", ["register", "part_from_production"])
def test_a_clone_that_died_on_its_way_is_completed_by_the_next_opener(
    boundary: str, world: World
) -> None:
    """The plan is in the log; what was registered meanwhile stays as planned."""
    world.production.load(shop(3))
    branch = world.enter_branch()
    done = getattr(clone, boundary)
    with world.monkeypatch.context() as dying:
        calls = iter(range(100))

        def die_at_the_third(*arguments: Any, **keywords: Any) -> None:
            if not arguments[1].startswith("floe_probe") and next(calls) == 2:
                kill()
            done(*arguments, **keywords)

        dying.setattr(clone, boundary, die_at_the_third)
        with pytest.raises(PipelineStepFailed):
            branch.pipeline().sync_destination()
    world.leave_branch()
    world.production.load(shop(4))
    before = world.files(), world.pointers()
    world.enter_branch()
    extracted: list[int] = []
    branch.load(shop(5, extracted))
    assert extracted == [4, 5]
    assert branch.values("events", "id") == [1, 2, 3, 4, 5]
    assert (world.files(), world.pointers()) == before


@pytest.mark.parametrize("stack", ["sqlite", "postgres"], indirect=True)
def test_two_runs_that_begin_a_branch_together_make_one(world: World) -> None:
    """The run that loses a step continues with what the other did."""
    world.production.load(shop(3))
    before = world.files(), world.pointers()
    branch = world.enter_branch()

    def begin(_: int) -> set[str]:
        from floe_ingestion_defs.branch import current_branch

        current = current_branch()
        assert current is not None
        dataset = Dataset(branch.catalog, branch.dataset)
        clone.set_up_branch(dataset, current, "clone")
        return {name for *_, name in dataset.catalog.list_tables(branch.dataset)}

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(begin, range(4)))
    clones = {name for name in found[0] if not name.startswith("floe_probe")}
    assert {"events", "orders", "orders__lines", "codes", "_dlt_loads"} <= clones
    branch.load(shop(4))
    assert branch.values("events", "id") == [1, 2, 3, 4]
    assert (world.files(), world.pointers()) == before
    assert not any("probe" in name for *_, name in branch.catalog.list_tables(branch.dataset))


def test_a_clone_says_of_itself_that_its_files_are_shared(world: World) -> None:
    """In Iceberg's own properties, which other engines go by."""
    world.production.load(shop(2))
    branch = world.enter_branch()
    branch.pipeline().sync_destination()
    table = branch.table("events")
    assert table.properties["gc.enabled"] == "false"
    assert table.properties["write.metadata.delete-after-commit.enabled"] == "false"
    log = branch.table("_dlt_loads")
    for path in (table.properties["write.data.path"], table.properties["write.metadata.path"]):
        assert path.startswith(log.location())
    assert table.metadata_location.startswith(log.location())
    assert log.properties["floe.branch"] == "pr_123"


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


def test_the_state_that_comes_along_names_the_branch_s_dataset(world: World) -> None:
    """dlt has let a restored state decide where a pipeline loads: its issue 3680."""
    world.production.load(shop(2))
    branch = world.enter_branch()
    branch.pipeline().sync_destination()
    for lake in (branch, world.production):
        view = Dataset(lake.catalog, lake.dataset).log.read()
        load = view.newest_state("shop") if view else None
        assert load is not None
        state = decompress_state(decode_document(load.state or "")["state"])
        assert state["dataset_name"] == lake.dataset


def test_an_empty_branch_is_explicit(world: World) -> None:
    """It begins with neither tables nor cursors."""
    world.production.load(shop(2))
    branch = world.enter_branch()
    extracted: list[int] = []
    branch.load(shop(3, extracted), options={"branch_tables": "empty"})
    assert extracted == [1, 2, 3]
    assert branch.values("orders", "id") == [1, 2, 3]


def test_a_branch_begins_empty_where_production_has_no_table(world: World) -> None:
    """A new source in a new namespace, in the pull request that brings it."""
    branch = world.enter_branch()
    branch.load(shop(3))
    assert branch.values("events", "id") == [1, 2, 3]


def test_two_repositories_do_not_share_a_branch(world: World) -> None:
    """Each has a pull request 123; the second is rejected, and touches nothing."""
    world.production.load(shop(2))
    branch = world.enter_branch("pr_123@acme/shop")
    branch.load(shop(3))
    world.enter_branch("pr_123@acme/other")
    with pytest.raises(PipelineStepFailed) as refused:
        branch.load(shop(4))
    assert isinstance(refused.value.__cause__, DatasetRefused)
    assert "belongs to branch `pr_123@acme/shop`" in str(refused.value)
    assert branch.values("events", "id") == [1, 2, 3]


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
