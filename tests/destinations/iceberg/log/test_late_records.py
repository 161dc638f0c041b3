"""A process that slept between publishing and recording records nothing that is no longer true."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from destinations.iceberg.log.orders import dataset_of, read, repair, spoil

from floe_ingestion_defs.destinations import blocked_tables, release_blocked
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg import recover
from floe_ingestion_defs.destinations.impl.iceberg.admission import log as admission
from floe_ingestion_defs.destinations.impl.iceberg.errors import TableBlocked
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import release
from floe_ingestion_defs.destinations.impl.iceberg.publish import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from destinations.iceberg.conftest import Lake


@contextmanager
def sleeping_after_publishing(module: Any, action: Callable[[], object]) -> Iterator[None]:
    """Let the module's first publication be followed by what others do before it is recorded."""
    with pytest.MonkeyPatch.context() as patch:

        def publish_and_sleep(*arguments: Any) -> Any:
            patch.undo()
            found = publish(*arguments)
            action()
            return found

        patch.setattr(module, "publish", publish_and_sleep)
        yield


def load(lake: Lake, number: int, **how: Any) -> None:
    lake.load([{"id": number, "note": "a"}], table_name="orders", **how)


def commit(lake: Lake, number: int, **how: Any) -> None:
    """Commit a load whose process dies before it publishes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        load(lake, number, **how)


def open_as_shop(lake: Lake) -> None:
    recover.open_dataset(dataset_of(lake), "shop")


def release_repair_and_commit(lake: Lake) -> None:
    """Give up the load that failed, and commit one that fits."""
    assert release_blocked(dataset_of(lake), "orders") == 1
    repair(lake)
    commit(lake, 3, pipeline="other")


def test_a_failure_is_not_recorded_against_a_later_load(lake: Lake) -> None:
    load(lake, 1)
    commit(lake, 2)
    spoil(lake)
    with sleeping_after_publishing(recover, lambda: release_repair_and_commit(lake)):
        open_as_shop(lake)
    assert blocked_tables(dataset_of(lake)) == {}
    load(lake, 4)
    assert lake.values("orders", "id") == [1, 3, 4]


def test_nor_is_the_failure_of_a_load_of_its_own(lake: Lake) -> None:
    """The load itself still says that it was not published."""
    load(lake, 1)

    def publish_own(*arguments: Any) -> None:
        spoil(lake)
        original(*arguments)

    original = load_step.publish_own
    with (
        pytest.MonkeyPatch.context() as patch,
        sleeping_after_publishing(load_step, lambda: release_repair_and_commit(lake)),
    ):
        patch.setattr(load_step, "publish_own", publish_own)
        error = lake.rejected([{"id": 2, "note": "a"}], table_name="orders")
    assert isinstance(error, TableBlocked)
    assert blocked_tables(dataset_of(lake)) == {}
    load(lake, 4, pipeline="other")
    assert lake.values("orders", "id") == [1, 3, 4]


def test_a_load_that_another_process_has_published_meanwhile_blocks_nothing(lake: Lake) -> None:
    """Also where that process has not recorded it, so that the log is unchanged."""
    load(lake, 1)
    commit(lake, 2)
    spoil(lake)

    def repair_and_publish() -> None:
        repair(lake)
        assert publish(dataset_of(lake), read(lake).uuid, read(lake).unsettled()) == {}

    with sleeping_after_publishing(recover, repair_and_publish):
        open_as_shop(lake)
    assert blocked_tables(dataset_of(lake)) == {}
    assert lake.values("orders", "id") == [1, 2]


def test_a_publisher_does_not_free_a_table_that_a_later_load_blocks(lake: Lake) -> None:
    """Loads of a blocked table count as settled: the later one would be lost."""
    load(lake, 1)

    def commit_and_block() -> None:
        commit(lake, 3)
        spoil(lake)
        open_as_shop(lake)
        assert blocked_tables(dataset_of(lake)).keys() == {"orders"}

    with sleeping_after_publishing(load_step, commit_and_block):
        load(lake, 2, pipeline="other")
    assert blocked_tables(dataset_of(lake)).keys() == {"orders"}
    repair(lake)
    load(lake, 4)
    assert lake.values("orders", "id") == [1, 2, 3, 4]


@pytest.mark.parametrize("by", ["a load", "a release"])
def test_a_table_is_not_freed_of_a_load_that_was_committed_meanwhile(by: str, lake: Lake) -> None:
    """A load that replaces a blocked table is committed, and counts as settled until it is free."""
    load(lake, 1)
    commit(lake, 2)
    spoil(lake)
    open_as_shop(lake)
    repair(lake)

    def replace_and_record() -> None:
        commit(lake, 9, write_disposition="replace", pipeline="other")
        lake.load([{"id": 1}], table_name="refunds", pipeline="other")
        assert read(lake).unsettled() == []

    with sleeping_after_publishing(admission if by == "a load" else release, replace_and_record):
        if by == "a release":
            release_blocked(dataset_of(lake), "orders")
        load(lake, 3)
    assert blocked_tables(dataset_of(lake)) == {}
    assert lake.values("orders", "id") == [3, 9]


def test_a_release_gives_up_no_load_but_the_one_that_failed(lake: Lake) -> None:
    """Both fit the table, which another operator has repaired meanwhile."""
    load(lake, 1)
    commit(lake, 2)
    commit(lake, 3, pipeline="other")
    spoil(lake)

    def repair_and_publish_the_first() -> None:
        repair(lake)
        first = read(lake).unsettled()[:1]
        assert publish(dataset_of(lake), read(lake).uuid, first) == {}

    with sleeping_after_publishing(release, repair_and_publish_the_first):
        assert release_blocked(dataset_of(lake), "orders") == 0
    assert lake.values("orders", "id") == [1, 2, 3]
    assert blocked_tables(dataset_of(lake)) == {}
