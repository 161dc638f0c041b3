"""A release among publishers that sleep, operators who repair the table, and other releases.

Catalogs check a commit against the snapshot that it asserts, so one that changes properties alone
would not conflict with another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from destinations.iceberg.log.orders import dataset_of, read, repair, spoil
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ForbiddenError

from floe_ingestion_defs.destinations import blocked_tables, release_blocked
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg import publication
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import AssertingCatalog
from floe_ingestion_defs.destinations.impl.iceberg.log import due
from floe_ingestion_defs.destinations.impl.iceberg.log.load_log import LoadLog
from floe_ingestion_defs.destinations.impl.iceberg.publish import publish
from floe_ingestion_defs.destinations.impl.iceberg.recover import open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from destinations.iceberg.conftest import Lake

    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView


def committed_only(lake: Lake) -> LogView:
    """Commit a load that is not published, and return the log as its publisher has read it."""
    lake.load([{"id": 1, "note": "a"}], table_name="orders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        lake.load([{"id": 2, "note": "b"}], table_name="orders")
    return read(lake)


def block(lake: Lake) -> None:
    spoil(lake)
    open_dataset(dataset_of(lake), "shop")
    assert blocked_tables(dataset_of(lake)).keys() == {"orders"}


def release_and_mend(lake: Lake) -> None:
    """Everything that operators do while a publisher sleeps."""
    block(lake)
    assert release_blocked(dataset_of(lake), "orders") == 1
    repair(lake)


def before_commits_of(
    monkeypatch: pytest.MonkeyPatch, table: str, action: Callable[[], None]
) -> None:
    """Run an action before the first commit to a table, whose writer sleeps meanwhile."""
    commit, done = AssertingCatalog.commit_table, False

    def commit_table(catalog: Any, target: Any, *arguments: Any) -> Any:
        nonlocal done
        if target.name()[-1] == table and not done:
            done = True
            action()
        return commit(catalog, target, *arguments)

    monkeypatch.setattr(AssertingCatalog, "commit_table", commit_table)


@pytest.mark.also_on_rest
def test_a_publisher_that_wakes_after_the_table_was_repaired_publishes_no_released_row(
    lake: Lake,
) -> None:
    view = committed_only(lake)
    release_and_mend(lake)
    publish(dataset_of(lake), view.uuid, view.unsettled())
    assert lake.values("orders", "id") == [1]
    assert lake.values("orders____blocked", "id") == [2]
    lake.load([{"id": 3, "note": "c"}], table_name="orders")
    assert lake.values("orders", "id") == [1, 3]


@pytest.mark.also_on_rest
def test_a_publisher_that_sleeps_in_its_commit_publishes_no_released_row(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = committed_only(lake)
    before_commits_of(monkeypatch, "orders", lambda: release_and_mend(lake))
    publish(dataset_of(lake), view.uuid, view.unsettled())
    assert lake.values("orders", "id") == [1]
    assert lake.values("orders____blocked", "id") == [2]


def test_rows_that_were_published_while_they_were_released_are_not_quarantined_too(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher is faster than the release: its rows are in the table, and only there."""
    view = committed_only(lake)
    block(lake)
    append = LoadLog.append

    def appended(log: LoadLog, now: LogView, load: Any) -> LogView:
        after = append(log, now, load)
        repair(lake)
        publish(dataset_of(lake), view.uuid, view.unsettled())
        return after

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoadLog, "append", appended)
        assert release_blocked(dataset_of(lake), "orders") == 0
    assert lake.values("orders", "id") == [1, 2]
    assert lake.values("orders____blocked", "id") == []
    assert read(lake).pending() == []


def release_without_the_right(lake: Lake) -> None:
    """Release a table that the releasing process may not write to."""
    with pytest.MonkeyPatch.context() as patch:
        commit = SqlCatalog.commit_table

        def commit_table(catalog: Any, target: Any, *arguments: Any) -> Any:
            if target.name()[-1] == "orders":
                msg = "no right to write"
                raise ForbiddenError(msg)
            return commit(catalog, target, *arguments)

        patch.setattr(SqlCatalog, "commit_table", commit_table)
        open_dataset(dataset_of(lake), "shop")
        assert release_blocked(dataset_of(lake), "orders") == 1


@pytest.mark.parametrize("is_killed", [False, True], ids=["wakes", "wakes and is killed"])
def test_rows_that_a_suspended_publisher_publishes_after_all_leave_the_quarantine(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    """The release could not advance the watermark, so the publisher's commit does not conflict.

    A publisher that is killed after its commit leaves the rows in both tables, until the table is
    released again.
    """
    view = committed_only(lake)
    before_commits_of(monkeypatch, "orders", lambda: release_without_the_right(lake))
    monkeypatch.setattr(publication, "LOOK_UP_AGAIN_SECONDS", 1e6 if is_killed else 0.0)
    assert publish(dataset_of(lake), view.uuid, view.unsettled()) == {}
    assert lake.values("orders", "id") == [1, 2]
    if is_killed:
        assert lake.values("orders____blocked", "id") == [2]
        assert release_blocked(dataset_of(lake), "orders") == 0
    assert lake.values("orders____blocked", "id") == []
    lake.load([{"id": 3, "note": "c"}], table_name="orders")
    assert lake.values("orders", "id") == [1, 2, 3]


def test_released_rows_stay_in_the_quarantine_when_the_table_is_released_again(
    lake: Lake,
) -> None:
    """Only rows that are in both tables leave it."""
    committed_only(lake)
    release_and_mend(lake)
    lake.load([{"id": 3, "note": "c"}], table_name="orders")
    assert release_blocked(dataset_of(lake), "orders") == 0
    assert lake.values("orders____blocked", "id") == [2]


def test_a_load_is_released_once_by_two_operators(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed_only(lake)
    block(lake)
    other: list[int] = []
    before_commits_of(
        monkeypatch,
        lake.table("_dlt_loads").name()[-1],
        lambda: other.append(release_blocked(dataset_of(lake), "orders")),
    )
    release_blocked(dataset_of(lake), "orders")
    assert other == [1]
    assert lake.values("orders____blocked", "id") == [2]


def test_a_slow_publisher_reads_the_log_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no release could advance the watermark, only the log knows that the load is gone."""
    view = committed_only(lake)
    block(lake)
    monkeypatch.setattr(due, "LOOK_UP_AGAIN_SECONDS", 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(due, "_pass_over", lambda *_: False)
        release_blocked(dataset_of(lake), "orders")
    repair(lake)
    assert publish(dataset_of(lake), view.uuid, view.unsettled()) == {}
    assert lake.values("orders", "id") == [1]


@pytest.mark.also_on_rest
def test_a_table_is_not_unblocked_by_a_commit_that_races_with_a_record_of_its_block(
    lake: Lake,
) -> None:
    """Loads of a blocked table count as settled, so one of the two has to compute again."""
    committed_only(lake)
    block(lake)
    first, second = read(lake), read(lake)
    log = dataset_of(lake).log
    assert log.record(first, first.settled_seq, {"orders": None})
    assert not log.record(second, second.settled_seq + 1)
    assert read(lake).settled_seq == first.settled_seq


@pytest.mark.also_on_rest
def test_the_settled_seq_never_decreases(lake: Lake) -> None:
    """A writer that slept and has a lower number does not replace a higher one."""
    committed_only(lake)
    slept, awake = read(lake), read(lake)
    log = dataset_of(lake).log
    assert log.record(awake, 2)
    assert not log.record(slept, 1, {"orders": "2 ValueError"})
    assert not log.compact_if_due(slept)
    assert read(lake).settled_seq == 2
    assert read(lake).blocked == {}
