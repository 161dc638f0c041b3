"""In a branch deployment nothing outside of the branch's own namespaces can be changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.destination.exceptions import DestinationException
from dlt.pipeline.exceptions import PipelineStepFailed
from pyiceberg.catalog import Catalog
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType

from floe_ingestion_defs.branch import LONGEST_NAMESPACE, Branch, InvalidBranch, current_branch
from floe_ingestion_defs.destinations import branch_namespace
from floe_ingestion_defs.destinations.impl.iceberg import load as loads
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import DatasetRefused
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.release import release_blocked
from floe_ingestion_defs.destinations.impl.iceberg.recover import recover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from destinations.iceberg.conftest import Lake

ROWS = [{"id": 1}, {"id": 2}]


@pytest.fixture(autouse=True)
def _forget_configuration(tmp_path: Path) -> Iterator[None]:
    """Makes dlt forget a configuration file that a test has written."""
    yield
    shutil.rmtree(tmp_path / ".dlt", ignore_errors=True)
    Container()[PluggableRunContext].reload_providers()


@pytest.fixture
def branch(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Branch:
    """Production has loaded, and then a branch of it begins."""
    lake.load(ROWS, table_name="items")
    monkeypatch.setenv("FLOE_BRANCH", "pr_123")
    return Branch("pr_123")


def state_of(lake: Lake) -> dict[str, str]:
    """The metadata file of each of production's tables; such a file never changes."""
    tables = lake.catalog.list_tables(lake.dataset)
    return {t[-1]: lake.catalog.load_table(t).metadata_location for t in tables}


def rejection(work: Callable[[], Any]) -> DatasetRefused:
    """Return the error that rejected some work, whatever dlt wrapped it in."""
    with pytest.raises((DatasetRefused, DestinationException, Exception)) as caught:
        work()
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, DatasetRefused):
        error = error.__cause__ or error.__context__
    assert isinstance(error, DatasetRefused), repr(caught.value)
    return error


def die(*_: object) -> None:
    raise KeyboardInterrupt


def by_name(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.load(ROWS, table_name="items")


def by_name_of_a_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    own = replace(lake, dataset=branch_namespace(lake.dataset))
    own.load(ROWS, table_name="items", dataset_name=lake.dataset)


def by_environment(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASET_NAME", lake.dataset)
    pipeline = dlt.pipeline("shop", destination="iceberg", pipelines_dir=str(lake.folder / "env"))
    assert pipeline.dataset_name == lake.dataset
    pipeline.run(ROWS, table_name="items")


def by_layout(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASET_NAME_LAYOUT", "%s_more")
    own = replace(lake, dataset=branch_namespace(lake.dataset))
    own.load(ROWS, table_name="items")


def by_configuration(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lake.folder / ".dlt"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(f'[pipelines.shop]\ndataset_name = "{lake.dataset}"\n')
    Container()[PluggableRunContext].reload_providers()
    pipeline = dlt.pipeline("shop", destination="iceberg", pipelines_dir=str(lake.folder / "conf"))
    assert pipeline.dataset_name == lake.dataset
    pipeline.run(ROWS, table_name="items")


def by_restored_state(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lake.folder / "runs" / "0"
    pipeline = dlt.attach("shop", pipelines_dir=str(folder))
    assert pipeline.dataset_name == lake.dataset
    pipeline.run(ROWS, table_name="items")


def by_dropping(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = dlt.attach("shop", pipelines_dir=str(lake.folder / "runs" / "0"))
    with pipeline.destination_client() as client:
        client.drop_storage()


WAYS = [
    by_name,
    by_name_of_a_run,
    by_environment,
    by_layout,
    by_configuration,
    by_restored_state,
    by_dropping,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_production_is_rejected_however_a_pipeline_gets_its_dataset(
    way: Callable[[Lake, pytest.MonkeyPatch], None],
    lake: Lake,
    branch: Branch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By name, environment, configuration file or restored state; and nothing has happened."""
    before = state_of(lake)
    error = rejection(lambda: way(lake, monkeypatch))
    assert "is not a namespace of branch `pr_123`" in str(error)
    assert state_of(lake) == before


def test_a_branch_loads_into_its_own_namespace(lake: Lake, branch: Branch) -> None:
    """The same pipeline, given the name that the error asks for."""
    own = replace(lake, dataset=branch_namespace(lake.dataset))
    own.load([{"id": 3}], table_name="things")
    assert own.values("things", "id") == [3]
    assert lake.values("items", "id") == [1, 2]


@pytest.mark.also_on_rest
def test_every_change_of_a_catalog_is_rejected(lake: Lake, branch: Branch) -> None:
    """Also through a catalog or one of its tables, in addition to the check of the pipeline."""
    catalog, namespace = lake.catalog, lake.dataset
    before = state_of(lake)
    table = catalog.load_table((namespace, "items"))
    here, there = (namespace, "items"), (branch.namespace(namespace), "items")
    head = table.metadata.current_snapshot_id
    column = {"floe": "1"}
    changes: list[Callable[[], Any]] = [
        lambda: catalog.create_table((namespace, "more"), Schema()),
        lambda: catalog.create_table(schema=Schema(), identifier=f"{namespace}.more"),
        lambda: catalog.create_table_if_not_exists((namespace, "more"), Schema()),
        lambda: catalog.create_table_transaction((namespace, "more"), Schema()),
        lambda: catalog.register_table((namespace, "more"), table.metadata_location),
        lambda: catalog.drop_table(here),
        lambda: catalog.drop_table(identifier=f"{namespace}.items"),
        lambda: catalog.purge_table(here),
        lambda: catalog.purge_table(there),
        lambda: catalog.rename_table(here, there),
        lambda: catalog.rename_table(there, here),
        lambda: catalog.create_namespace("silver"),
        lambda: catalog.create_namespace_if_not_exists("silver"),
        lambda: catalog.drop_namespace(namespace),
        lambda: catalog.update_namespace_properties(namespace, updates=column),
        lambda: table.append(table.scan().to_arrow()),
        lambda: table.delete("id = 1"),
        lambda: table.transaction().set_properties(column).commit_transaction(),
        lambda: table.update_schema().add_column("x", IntegerType()).commit(),
        lambda: table.manage_snapshots().create_tag(head or 0, "t").commit(),
    ]
    for change in changes:
        with pytest.raises(DatasetRefused):
            change()
    assert isinstance(catalog, Catalog)
    assert state_of(lake) == before


def test_a_branch_neither_recovers_nor_maintains_production(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that production has committed and not published stays so: that is production's."""
    with monkeypatch.context() as dying:
        dying.setattr(loads, "publish_own", die)
        with pytest.raises(PipelineStepFailed):
            lake.load(ROWS, table_name="items")
    before = state_of(lake)
    monkeypatch.setenv("FLOE_BRANCH", "pr_123")
    dataset = Dataset(lake.catalog, lake.dataset)
    view = dataset.log.read()
    assert view is not None
    assert view.unsettled()
    for upkeep in (
        lambda: recover(dataset, view),
        lambda: release_blocked(dataset, "items"),
        lambda: remove_orphans(dataset, timedelta(days=2), dry_run=False),
    ):
        rejection(upkeep)
    assert state_of(lake) == before


def test_a_name_that_is_too_long_is_truncated_and_stays_unique() -> None:
    """Hive's metastore takes 128 characters; two that begin alike stay two."""
    branch = Branch("pr_123")
    assert branch.namespace("bronze") == "bronze__pr_123"
    assert branch.namespace("lake.bronze") == "lake.bronze__pr_123"
    longest = "b" * (LONGEST_NAMESPACE - len("__pr_123"))
    assert branch.namespace(longest) == f"{longest}__pr_123"
    one, other = branch.namespace(longest + "ab"), branch.namespace(longest + "ac")
    assert one != other
    for cut in (one, other):
        assert len(cut) <= LONGEST_NAMESPACE
        assert branch.owns(cut)
        assert branch.namespace(cut) == cut


def test_no_branch_owns_another_s_namespaces() -> None:
    """Neither one whose number begins, or ends, like the other's."""
    for name in ("pr_1", "pr_12", "pr_1234", "x_pr_123", "123"):
        assert not Branch("pr_123").owns(Branch(name).namespace("bronze"))
    assert not Branch("pr_123").owns("bronze_pr_123")


@pytest.mark.parametrize(
    "value", ["PR 123", "pr__123", "_pr", "x" * 49, "pr-1", "@acme/shop", "", " "]
)
def test_a_branch_with_an_invalid_name_can_do_nothing(
    value: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is set, so this is not production; loading nothing is safer."""
    monkeypatch.setenv("FLOE_BRANCH", value)
    with pytest.raises(InvalidBranch, match="such as 'pr_123'"):
        current_branch()
    with pytest.raises(Exception, match="such as 'pr_123'"):
        lake.load(ROWS, table_name="items")


def test_without_a_branch_a_name_is_unchanged() -> None:
    """Production is unaffected."""
    assert branch_namespace("bronze") == "bronze"
