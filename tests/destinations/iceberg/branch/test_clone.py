"""A branch uses production's tables and state without any effect on production."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from destinations.iceberg.branch.world import World, shop
from dlt.common.versioned_state import decompress_state
from dlt.pipeline.exceptions import PipelineStepFailed

from floe_ingestion_defs.destinations.impl.iceberg import load as loads
from floe_ingestion_defs.destinations.impl.iceberg.branch import clone
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import DatasetRefused
from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import decode_document

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


def test_what_production_loads_later_does_not_reach_the_branch(world: World) -> None:
    """They are independent from the clone on."""
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


@pytest.mark.parametrize("boundary", ["register", "separate_from_production"])
def test_an_interrupted_clone_is_completed_by_the_next_opener(boundary: str, world: World) -> None:
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


def test_a_clone_declares_that_its_files_are_shared(world: World) -> None:
    """In Iceberg's own properties, which other engines read."""
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


def test_the_cloned_state_names_the_branch_s_dataset(world: World) -> None:
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
    with pytest.raises(PipelineStepFailed) as rejected:
        branch.load(shop(4))
    assert isinstance(rejected.value.__cause__, DatasetRefused)
    assert "belongs to branch `pr_123@acme/shop`" in str(rejected.value)
    assert branch.values("events", "id") == [1, 2, 3]


@pytest.mark.usefixtures("merge_on_read")
def test_production_and_a_branch_delete_by_position_in_the_same_files(world: World) -> None:
    """A clone has production's delete files, and replaces them for itself alone."""

    def load(lake: Lake, *numbers: int, v: int) -> None:
        rows = [{"id": n, "v": v} for n in numbers]
        lake.load(rows, table_name="t", primary_key="id", write_disposition="merge")

    load(world.production, *range(10), v=0)
    load(world.production, 1, v=1)
    branch = world.enter_branch()
    load(branch, 2, v=2)
    world.leave_branch()
    load(world.production, 3, v=3)
    world.enter_branch()
    found = [{row["id"]: row["v"] for row in lake.rows("t")} for lake in (branch, world.production)]
    base = {**dict.fromkeys(range(10), 0), 1: 1}
    assert found == [{**base, 2: 2}, {**base, 3: 3}]
