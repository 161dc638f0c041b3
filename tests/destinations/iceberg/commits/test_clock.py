"""A worker whose clock is behind leaves tables that every engine can read."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.table import update

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import load_table

if TYPE_CHECKING:
    from servers.spark import Spark

BEHIND = timedelta(minutes=2)


class SlowDatetime(datetime):
    """The clock of a worker that is two minutes behind."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> SlowDatetime:
        return super().now(tz) - BEHIND


def set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the clock back that pyiceberg takes the times of snapshots and metadata from."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - BEHIND.total_seconds())
    monkeypatch.setattr(update, "datetime", SlowDatetime)


def assert_in_order(lake: Any, name: str) -> None:
    metadata = lake.table(name).metadata
    snapshots = [snapshot.timestamp_ms for snapshot in metadata.snapshots]
    assert snapshots == sorted(snapshots)
    entries = [entry.timestamp_ms for entry in metadata.snapshot_log]
    assert entries == sorted(entries)
    files = [entry.timestamp_ms for entry in metadata.metadata_log]
    assert [*files, metadata.last_updated_ms] == sorted([*files, metadata.last_updated_ms])
    assert metadata.last_updated_ms >= max(snapshots)


def load_with_a_slow_clock(lake: Any) -> None:
    lake.load([{"id": 1}], table_name="orders")
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_back(monkeypatch)
        lake.load([{"id": 2}], table_name="orders")
        table = load_table(lake.catalog, (lake.dataset, "orders"))
        assert table is not None
        with table.transaction() as transaction:
            transaction.set_properties({"comment": "no snapshot"})


def test_times_never_go_back(lake: Any) -> None:
    load_with_a_slow_clock(lake)
    assert lake.values("orders", "id") == [1, 2]
    for name in ("orders", "_dlt_loads", "_dlt_pipeline_state"):
        assert_in_order(lake, name)


def test_spark_reads_what_a_slow_worker_wrote(lake: Any, spark: Spark) -> None:
    load_with_a_slow_clock(lake)
    (rows, log) = spark.sql(
        lake.catalog,
        "SELECT id FROM lake.orders ORDER BY id",
        "SELECT count(*) AS loads FROM lake.`_dlt_loads`",
    )
    assert rows == [{"id": 1}, {"id": 2}]
    assert log == [{"loads": 2}]
