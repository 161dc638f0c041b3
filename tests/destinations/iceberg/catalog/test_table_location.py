"""A new table never takes a location that has files of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ForbiddenError

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


@pytest.mark.also_on_rest
def test_the_name_of_a_renamed_table_gets_a_location_of_its_own(lake: Lake) -> None:
    """The table keeps its location when it is renamed; both are read as they were loaded."""
    lake.load([{"id": 1}], table_name="orders")
    lake.catalog.rename_table(f"{lake.dataset}.orders", f"{lake.dataset}.kept")
    lake.load([{"id": 2}], table_name="orders")
    assert lake.values("kept", "id") == [1]
    assert lake.values("orders", "id") == [2]
    kept, orders = lake.table("kept").location(), lake.table("orders").location()
    assert not f"{orders}/".startswith(f"{kept}/")
    assert not f"{kept}/".startswith(f"{orders}/")
    (task,) = lake.table("orders").scan().plan_files()
    assert task.file.file_path.startswith(f"{orders}/")


def test_a_pending_load_creates_a_renamed_table_under_a_uuid_of_its_own(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load's rows were staged on the table that an operator has renamed since."""

    @dlt.source(name="shop")
    def both(number: int) -> Any:
        return [dlt.resource([{"id": number}], name=name) for name in ("items", "orders")]

    lake.load(both(1))
    commit = SqlCatalog.commit_table

    def deny_orders(catalog: SqlCatalog, table: Any, *changes: Any) -> Any:
        if table.name()[-1] == "orders":
            msg = "orders"
            raise ForbiddenError(msg)
        return commit(catalog, table, *changes)

    with monkeypatch.context() as patch:
        patch.setattr("time.sleep", lambda seconds: None)
        patch.setattr(SqlCatalog, "commit_table", deny_orders)
        lake.rejected(both(2))
    lake.catalog.rename_table(f"{lake.dataset}.orders", f"{lake.dataset}.kept")
    lake.load([{"id": 3}], table_name="orders")
    assert lake.values("kept", "id") == [1]
    assert sorted(lake.values("orders", "id")) == [2, 3]
    assert lake.table("kept").metadata.table_uuid != lake.table("orders").metadata.table_uuid


def test_a_file_that_is_kept_in_the_folder_occupies_it(lake: Lake) -> None:
    """It would be listed as an orphan of the table forever, and be lost with a purge."""
    lake.load([{"id": 1}], table_name="first")
    location = lake.table("first").location().replace("first", "orders")
    with lake.table("first").io.new_output(f"{location}/report.csv").create() as stream:
        stream.write(b"kept")
    lake.load([{"id": 1}], table_name="orders")
    assert lake.table("orders").location() == f"{location}-2"


@pytest.mark.also_on_rest
def test_files_that_a_dead_load_staged_do_not_occupy_a_location(lake: Lake) -> None:
    """Loads that stage the same new table at one time have one location for it."""

    def die(_: object) -> None:
        msg = "died"
        raise RuntimeError(msg)

    with pytest.raises(PipelineStepFailed):
        lake.load([{"id": 1}], table_name="orders", options={"audits": [die]})
    lake.load([{"id": 2}], table_name="orders")
    assert not lake.table("orders").location().endswith("-2")
    assert lake.values("orders", "id") == [2]


def test_a_table_that_was_dropped_leaves_its_location_occupied(lake: Lake) -> None:
    """Its files may be restored; however often that happens, the next table is elsewhere."""
    locations = set()
    for n in range(4):
        lake.load([{"id": n}], table_name="orders")
        locations.add(lake.table("orders").location())
        lake.catalog.drop_table(f"{lake.dataset}.orders")
    assert len(locations) == 4
