"""A process that is suspended for a day commits nothing whose files the sweep has deleted."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.destinations.impl.iceberg import load as loading
from floe_ingestion_defs.destinations.impl.iceberg import publication
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import load_table
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import LoadExpired, ReadTooLongAgo
from floe_ingestion_defs.destinations.impl.iceberg.log import load_log
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

DAY = 25 * 3600.0


class Sleeper:
    """Puts the process to sleep for a day, once, while the sweep continues elsewhere."""

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake, self.monkeypatch = lake, monkeypatch
        self.swept: list[str] | None = None

    def sleep(self) -> None:
        if self.swept is None:
            self.monkeypatch.setattr(orphans, "DELETE_AFTER_SECONDS", 0)
            dataset = Dataset(self.lake.catalog, self.lake.dataset)
            found = orphans.remove_orphans(dataset, timedelta(0), dry_run=False)
            self.swept = [file.path for file in found]
            now = time.time
            self.monkeypatch.setattr(time, "time", lambda: now() + DAY)

    def after(self, module: Any, name: str) -> None:
        """Sleeps when a function of the module has returned."""
        function = getattr(module, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            result = function(*arguments, **keywords)
            self.sleep()
            return result

        self.monkeypatch.setattr(module, name, call)


@pytest.fixture
def sleeper(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    return Sleeper(lake, monkeypatch)


def test_a_publisher_that_slept_writes_its_files_again(lake: Lake, sleeper: Sleeper) -> None:
    """What it rewrote, its manifests and its manifest list were swept meanwhile."""
    arguments: dict[str, Any] = {
        "table_name": "orders",
        "primary_key": "id",
        "write_disposition": "merge",
    }
    lake.load([{"id": 1, "n": 1}, {"id": 2, "n": 1}], **arguments)
    sleeper.after(publication, "add_snapshot")
    lake.load([{"id": 2, "n": 2}], **arguments)
    assert sleeper.swept is not None
    kinds = {path.rpartition(".")[2] for path in sleeper.swept}
    assert kinds == {"parquet", "avro"}, "the sweep took what the publisher had written"
    assert lake.rows("orders", "id", "n") == [{"id": 1, "n": 1}, {"id": 2, "n": 2}]
    assert lake.snapshots("orders") == 2


def test_a_publisher_that_slept_before_it_creates_a_table(lake: Lake, sleeper: Sleeper) -> None:
    """A creation is held to the same deadline."""
    lake.load([{"id": 1}], table_name="first")
    sleeper.after(publication, "add_snapshot")
    lake.load([{"id": 1}], table_name="orders")
    assert sleeper.swept
    assert lake.values("orders", "id") == [1]


def test_a_load_that_slept_before_its_commit_expires(lake: Lake, sleeper: Sleeper) -> None:
    """Its staged files were swept, so nothing of it may come to be."""
    lake.load([{"id": 1}], table_name="orders")
    sleeper.after(loading, "audit")
    assert isinstance(lake.rejected([{"id": 2}], table_name="orders"), LoadExpired)
    assert sleeper.swept
    assert lake.values("orders", "id") == [1]


def test_a_commit_to_the_log_after_a_sleep_is_made_again(lake: Lake, sleeper: Sleeper) -> None:
    """The log's own data file and manifests were swept with the staged ones."""
    lake.load([{"id": 1}], table_name="orders")
    sleeper.after(load_log, "add_snapshot")
    assert isinstance(lake.rejected([{"id": 2}], table_name="orders"), LoadExpired)
    assert sleeper.swept
    lake.load([{"id": 3}], table_name="orders")
    assert lake.values("orders", "id") == [1, 3]


def test_a_clock_that_is_set_back_does_not_extend_the_deadline(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep may run on another machine, whose clock is right."""
    lake.load([{"id": 1}], table_name="orders")
    dataset = Dataset(lake.catalog, lake.dataset)
    table = load_table(dataset.catalog, dataset.identifier("orders"))
    assert table is not None
    wall, steady = time.time, time.clock_gettime
    monkeypatch.setattr(time, "time", lambda: wall() - DAY)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: steady(clock) + DAY)
    monkeypatch.setattr(time, "monotonic", lambda: steady(time.CLOCK_MONOTONIC) + DAY)
    with pytest.raises(ReadTooLongAgo), table.transaction() as transaction:
        transaction.set_properties({"a": "b"})
