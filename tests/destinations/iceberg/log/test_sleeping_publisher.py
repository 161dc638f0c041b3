"""A publisher that wakes after its table or log was replaced writes nothing into the new one."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.destinations import ExpiryOptions
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg import publication, recover
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import ReadTooLongAgo
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import expire as expiry
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans
from floe_ingestion_defs.destinations.impl.iceberg.publish import Unpublished, publish

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load


def asleep(lake: Any, table: str = "orders") -> tuple[Dataset, str, Load]:
    """Commit a load whose publisher falls asleep; return what it knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        lake.load([{"id": 2}], table_name=table)
    dataset = Dataset(lake.catalog, lake.dataset)
    view = dataset.log.read()
    assert view is not None
    return dataset, view.uuid, view.unsettled()[-1]


def drop(dataset: Dataset, *tables: str) -> None:
    for table in tables:
        dataset.catalog.drop_table(dataset.identifier(table))


def test_the_table_was_dropped_and_loaded_again(lake: Any) -> None:
    """Its rows are loaded once, with the load that created the table again."""
    lake.load([{"id": 1}], table_name="orders")
    dataset, uuid, load = asleep(lake)
    drop(dataset, "orders")
    lake.load([{"id": 3}], table_name="orders", pipeline="other")
    after = lake.values("orders", "id")
    publish(dataset, uuid, [load])
    assert lake.values("orders", "id") == after
    assert after.count(2) <= 1


def test_the_table_was_dropped_after_the_load_was_published_by_another(lake: Any) -> None:
    lake.load([{"id": 1}], table_name="orders")
    dataset, uuid, load = asleep(lake)
    lake.load([{"id": 9}], table_name="refunds")  # Opens, publishes and records.
    drop(dataset, "orders")
    publish(dataset, uuid, [load])
    assert "orders" not in lake.tables()
    lake.load([{"id": 3}], table_name="orders")
    publish(dataset, uuid, [load])
    assert lake.values("orders", "id") == [3]


@pytest.mark.parametrize("first", [True, False], ids=["creates", "appends"])
def test_the_dataset_was_dropped_and_loaded_again(first: bool, lake: Any) -> None:
    if not first:
        lake.load([{"id": 1}], table_name="orders")
    dataset, uuid, load = asleep(lake)
    for identifier in dataset.catalog.list_tables(dataset.namespace):
        dataset.catalog.drop_table(identifier)
    publish(dataset, uuid, [load])
    assert "orders" not in lake.tables()
    lake.load([{"id": 3}], table_name="orders")
    assert not publish(dataset, uuid, [load])
    assert lake.values("orders", "id") == [3]


def test_the_log_was_dropped_and_the_tables_reloaded(lake: Any) -> None:
    """The table is the same, and what it holds is the new log's."""
    lake.load([{"id": 1}], table_name="orders")
    dataset, uuid, load = asleep(lake)
    drop(dataset, "_dlt_loads")
    lake.load([{"id": 3}], table_name="orders", write_disposition="replace")
    assert not publish(dataset, uuid, [load])
    assert lake.values("orders", "id") == [3]


def test_another_writer_created_the_table_first(lake: Any) -> None:
    """Its table is blocked for the load, and not written to."""
    dataset, uuid, load = asleep(lake)
    lake.catalog.create_table((lake.dataset, "orders"), lake.table("_dlt_loads").schema())
    (failure,) = publish(dataset, uuid, [load], {"orders": load.seq}).values()
    assert "another writer" in str(failure.error)
    assert lake.arrow("orders").num_rows == 0


def fall_asleep_before(function: str, lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the publisher sleep for a day where it first calls a function.

    Meanwhile other processes publish the load, replace its rows and expire its snapshot.
    """
    original = getattr(publication, function)

    def sleep(*arguments: Any, **keywords: Any) -> Any:
        monkeypatch.setattr(publication, function, original)
        replace_and_expire(lake, monkeypatch)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 25 * 3600.0)
        return original(*arguments, **keywords)

    monkeypatch.setattr(publication, function, sleep)


def replace_and_expire(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (8, 9):
        lake.load(
            [{"id": value}], table_name="orders", write_disposition="replace", pipeline="other"
        )
    for module in (expiry, orphans):
        monkeypatch.setattr(module, "DELETE_AFTER_SECONDS", 0)
    dataset = Dataset(lake.catalog, lake.dataset)
    result = expiry.expire(dataset, "orders", ExpiryOptions(timedelta(0), 1))
    assert expiry.remove_expired_files(dataset, {"orders": result})


@pytest.mark.parametrize("function", ["compute_change", "add_snapshot"])
def test_a_publisher_that_slept_while_its_files_expired_blocks_nothing(
    function: str, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load was published long ago, so that its staged files and manifests are deleted."""
    lake.load([{"id": 1}], table_name="orders")
    dataset, uuid, load = asleep(lake)
    fall_asleep_before(function, lake, monkeypatch)
    assert publish(dataset, uuid, [load]) == {}
    assert lake.values("orders", "id") == [9]


def test_what_a_publisher_meets_that_slept_twice_blocks_nothing(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How old the load is by then says nothing about its rows."""
    lake.load([{"id": 1}], table_name="orders")
    dataset, _, load = asleep(lake)
    intent = next(intent for intent in load.intent.tables if intent.table == "orders")
    monkeypatch.setattr(recover, "BLOCKED_AFTER", timedelta(0))
    for error, blocks in ((ReadTooLongAgo("26 hours"), False), (OSError("no route"), True)):
        view = dataset.log.read()
        assert view is not None
        recover.record(dataset, view, {"orders": Unpublished(load, intent, error)})
        view = dataset.log.read()
        assert view is not None
        assert bool(view.blocked) is blocks
