"""A log that lost rows is noticed, and a table's watermark survives the loss of its properties."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import load_table
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import LogBehindTables
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    LAST_SEQ,
    LOG_UUID,
    PUBLISHED_LOAD_UID,
    PUBLISHED_SEQ,
    PUBLISHED_SNAPSHOT,
    SETTLED_SEQ,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans
from floe_ingestion_defs.destinations.impl.iceberg.reading.inspection import summary_count
from floe_ingestion_defs.destinations.impl.iceberg.recover import open_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView


def events(last: int) -> Any:
    """Rows after the cursor, which is lost with the newest state."""

    @dlt.resource(name="events")
    def rows(
        cursor: Any = dlt.sources.incremental("id", initial_value=0),  # noqa: B008
    ) -> Iterator[list[dict[str, int]]]:
        yield [{"id": n} for n in range(cursor.last_value + 1, last + 1)]

    return rows


def roll_back(log: Table) -> None:
    """What an operator's `rollback_to_snapshot` does: properties stay."""
    rows = summary_count(log.current_snapshot(), "total-records")
    assert rows is not None
    before = [s for s in log.metadata.snapshots if summary_count(s, "total-records") == rows - 1]
    log.manage_snapshots().set_current_snapshot(before[-1].snapshot_id).commit()


def delete_newest(log: Table) -> None:
    """What `DELETE FROM _dlt_loads WHERE seq = 3` of another engine does."""
    log.delete("seq = 3")


def delete_between(log: Table) -> None:
    log.delete("seq = 2")


def read(lake: Any) -> LogView:
    view = Dataset(lake.catalog, lake.dataset).log.read()
    assert view is not None
    return view


@pytest.mark.parametrize("lose", [roll_back, delete_newest])
def test_a_log_that_lost_settled_loads_continues_with_their_numbers_and_cursors(
    lose: Any, lake: Any
) -> None:
    for last in (1, 2, 3):
        lake.load(events(last))
    lose(lake.table("_dlt_loads"))
    assert read(lake).lost_seqs == [3]
    lake.load(events(4))
    assert lake.values("events", "id") == [1, 2, 3, 4]
    assert read(lake).last_seq == 4
    lake.load(events(5))
    assert lake.values("events", "id") == [1, 2, 3, 4, 5]


def test_a_cursor_in_the_middle_of_the_log_is_not_lost_with_its_row(lake: Any) -> None:
    """The newest state of one pipeline can be older than the newest row."""
    lake.load([{"id": 1}], table_name="other", pipeline="first")
    lake.load(events(2))
    lake.load([{"id": 1}], table_name="other", pipeline="last")
    delete_between(lake.table("_dlt_loads"))
    assert read(lake).lost_seqs == [2]
    lake.load(events(3))
    assert lake.values("events", "id") == [1, 2, 3]


@pytest.mark.parametrize("lose", [roll_back, delete_newest, delete_between])
def test_a_log_that_lost_an_unpublished_load_rejects_loads_until_it_is_given_up(
    lose: Any, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.load(events(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        lake.load([{"id": 2}], table_name="other", pipeline="second")
        lake.load([{"id": 3}], table_name="other", pipeline="third")
    lose(lake.table("_dlt_loads"))
    error = lake.rejected(events(4))
    assert isinstance(error, LogBehindTables)
    assert f"`{SETTLED_SEQ}` to `3`" in str(error)
    assert lake.values("events", "id") == [1]
    # After the log is rolled forward, the files of its loads are needed.
    with pytest.raises(LogBehindTables):
        remove_orphans(Dataset(lake.catalog, lake.dataset), timedelta(days=1), dry_run=False)
    with lake.table("_dlt_loads").transaction() as transaction:
        transaction.set_properties({SETTLED_SEQ: "3"})
    lake.load(events(4))
    assert lake.values("events", "id") == [1, 2, 3, 4]


def test_a_log_restored_from_a_backup_is_older_than_its_tables(lake: Any) -> None:
    """Its properties are old too, so that only the tables know of the loads that are missing."""
    lake.load(events(1))
    dataset = Dataset(lake.catalog, lake.dataset)
    backup = lake.table("_dlt_loads").metadata_location
    lake.load(events(2))
    dataset.catalog.drop_table(dataset.log.identifier)
    dataset.catalog.register_table(dataset.log.identifier, backup)
    error = lake.rejected(events(3))
    assert isinstance(error, LogBehindTables)
    assert lake.values("events", "id") == [1, 2]


def test_a_log_restored_from_a_backup_is_older_than_its_tables_after_other_loads_too(
    lake: Any,
) -> None:
    """The loads of other tables, without a state, get the seqs of those that are missing."""
    lake.load([{"id": 0}], table_name="other", pipeline="second")
    lake.load(events(1))
    dataset = Dataset(lake.catalog, lake.dataset)
    backup = lake.table("_dlt_loads").metadata_location
    lake.load(events(2))
    dataset.catalog.drop_table(dataset.log.identifier)
    dataset.catalog.register_table(dataset.log.identifier, backup)
    for number in (1, 2):
        lake.load([{"id": number}], table_name="other", pipeline="second")
    error = lake.rejected(events(3))
    assert isinstance(error, LogBehindTables)
    assert lake.values("events", "id") == [1, 2]
    assert lake.values("other", "id") == [0, 1, 2]
    lake.load(events(3), refresh="drop_resources")
    lake.load(events(4))
    assert lake.values("events", "id") == [1, 2, 3, 4]


@pytest.mark.parametrize("table", ["orders", "new"])
def test_a_published_package_whose_row_was_lost_is_not_loaded_again(table: str, lake: Any) -> None:
    """As after a kill between publishing and the end of the package, and a rollback of the log."""
    for number in (1, 2):
        lake.load([{"id": number}], table_name="orders")
    killed = lake.pipeline()
    killed.extract([{"id": 3}], table_name=table)
    killed.normalize()
    successor = lake.pipeline()
    shutil.copytree(killed.pipelines_dir, successor.pipelines_dir, dirs_exist_ok=True)
    killed.load()
    rows = lake.values(table, "id")
    delete_newest(lake.table("_dlt_loads"))
    with pytest.raises(PipelineStepFailed) as caught:
        successor.load()
    assert isinstance(caught.value.__cause__, LogBehindTables)
    assert lake.values(table, "id") == rows
    successor.abort_packages()
    lake.load([{"id": 4}], table_name=table)
    assert lake.values(table, "id") == [*rows, 4]


def test_an_unpublished_package_whose_row_was_lost_is_loaded_with_a_new_number(lake: Any) -> None:
    """A blocked load counts as settled, so its loss does not stop others."""
    lake.load([{"id": 1}], table_name="orders")
    killed = lake.pipeline()
    killed.extract([{"id": 2}], table_name="orders")
    killed.normalize()
    successor = lake.pipeline()
    shutil.copytree(killed.pipelines_dir, successor.pipelines_dir, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        killed.load()
    log = Dataset(lake.catalog, lake.dataset).log
    view = log.read()
    assert view is not None
    assert log.record(view, 2, {"orders": "2 ForbiddenError"})
    lake.table("_dlt_loads").delete("seq = 2")
    successor.load()
    assert lake.values("orders", "id") == [1, 2]
    assert read(lake).last_seq == 3


@pytest.mark.parametrize("kept", [(), (LOG_UUID,)])
def test_a_watermark_whose_properties_were_unset_is_found_in_the_snapshots(
    kept: tuple[str, ...], lake: Any
) -> None:
    """The rows of a load that is not recorded as settled do not come twice."""
    lake.load([{"id": 1}], table_name="orders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "record", lambda _, view, *__, **___: view)
        lake.load([{"id": 2}], table_name="orders")
    watermark = {LOG_UUID, PUBLISHED_SEQ, PUBLISHED_LOAD_UID, PUBLISHED_SNAPSHOT}
    with lake.table("orders").transaction() as transaction:
        transaction.remove_properties(*watermark.difference(kept))
    assert len(read(lake).unsettled()) == 1
    open_dataset(Dataset(lake.catalog, lake.dataset), "shop")
    assert lake.values("orders", "id") == [1, 2]
    lake.load([{"id": 3}], table_name="orders")
    assert lake.values("orders", "id") == [1, 2, 3]


def test_the_last_number_is_a_property_that_each_append_sets(lake: Any) -> None:
    lake.load([{"id": 1}], table_name="orders")
    lake.load([{"id": 2}], table_name="orders")
    log = load_table(lake.catalog, (lake.dataset, "_dlt_loads"))
    assert log is not None
    assert log.properties[LAST_SEQ] == "2"
