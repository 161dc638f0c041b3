"""Snapshots expire in the commit of a load, and none that is still needed does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.adapters import iceberg_adapter
from pyiceberg.table.refs import SnapshotRef
from pyiceberg.table.snapshots import Operation, Snapshot, SnapshotLogEntry, Summary

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
from floe_ingestion_defs.destinations.impl.iceberg.commits.retention import (
    Retention,
    expire_in,
    expired_snapshots,
)
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitConflict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata

KEEP_THREE = {
    "history.expire.max-snapshot-age-ms": "1",
    "history.expire.min-snapshots-to-keep": "3",
}


def load(lake: Lake, value: int, properties: dict[str, str] | None = None) -> None:
    resource = dlt.resource([pa.table({"id": [value]})], name="t", write_disposition="append")
    lake.load(iceberg_adapter(resource, table_properties=properties) if properties else resource)


def read(lake: Lake) -> Table:
    table = Dataset(lake.catalog, lake.dataset).load_table("t")
    assert table is not None
    return table


def lengthen(lake: Lake, snapshots: int) -> list[int]:
    """Add snapshots without rows to the table, and return their ids."""
    added = []
    for _ in range(snapshots):
        with read(lake).transaction() as transaction:
            added.append(add_snapshot(transaction, ()))
    return added


def ids(snapshots: Iterable[Snapshot]) -> set[int]:
    return {snapshot.snapshot_id for snapshot in snapshots}


def test_a_load_expires_the_snapshots_that_the_properties_of_its_table_do_not_keep(
    lake: Lake,
) -> None:
    load(lake, 1, KEEP_THREE)
    added = lengthen(lake, 30)
    load(lake, 2)
    table = read(lake)
    kept = ids(table.metadata.snapshots)
    assert kept.isdisjoint(added[:28])
    assert set(added[28:]) < kept
    assert len(kept) == 3
    assert lake.values("t", "id") == [1, 2]


def test_a_table_that_forbids_garbage_collection_keeps_all_snapshots(lake: Lake) -> None:
    load(lake, 1, {**KEEP_THREE, "gc.enabled": "false"})
    lengthen(lake, 30)
    load(lake, 2)
    assert len(read(lake).metadata.snapshots) == 32


def test_a_table_may_keep_its_snapshots_for_longer_than_python_can_represent(lake: Lake) -> None:
    """A load that could not compute the age would be blocked after its commit."""
    load(lake, 1, {"history.expire.max-snapshot-age-ms": str(2**63 - 1)})
    lengthen(lake, 30)
    load(lake, 2)
    assert len(read(lake).metadata.snapshots) == 32
    assert lake.values("t", "id") == [1, 2]


def test_a_branch_may_keep_its_snapshots_for_longer_than_python_can_represent(lake: Lake) -> None:
    metadata = history(lake, minutes=60 * 24 * 30, count=30)
    trial = ref(15, "branch", **{"max-snapshot-age-ms": 2**63 - 1})
    metadata = metadata.model_copy(update={"refs": {**metadata.refs, "trial": trial}})
    kept = ids(metadata.snapshots) - ids(expired_snapshots(metadata, Retention()))
    assert kept >= set(range(1, 16))


def test_a_tag_that_is_created_while_its_snapshot_expires_is_kept(lake: Lake) -> None:
    load(lake, 1, KEEP_THREE)
    added = lengthen(lake, 30)
    transaction = read(lake).transaction()
    add_snapshot(transaction, ())
    expire_in(transaction)
    assert added[5] not in ids(transaction.table_metadata.snapshots)
    with lake.table("t").manage_snapshots() as manage:
        manage.create_tag(added[5], "audited")
    with pytest.raises(CommitConflict):
        transaction.commit_transaction()
    load(lake, 2)
    table = read(lake)
    assert table.metadata.refs["audited"].snapshot_id == added[5]
    assert added[5] in ids(table.metadata.snapshots)
    assert added[6] not in ids(table.metadata.snapshots)


def ref(snapshot_id: int, kind: str, **own: int) -> SnapshotRef:
    return SnapshotRef.model_validate({"snapshot-id": snapshot_id, "type": kind, **own})


def history(lake: Lake, minutes: int, count: int) -> TableMetadata:
    """Return the metadata of a table that was appended to so often, until now."""
    load(lake, 1)
    now = datetime.now(UTC)
    snapshots = []
    for number in range(1, count + 1):
        made = now - timedelta(minutes=minutes) * (count - number)
        snapshots.append(
            Snapshot(
                snapshot_id=number,
                parent_snapshot_id=number - 1 or None,
                sequence_number=number,
                timestamp_ms=int(made.timestamp() * 1000),
                manifest_list=f"memory:{number}",
                summary=Summary(Operation.APPEND),
            )
        )
    return read(lake).metadata.model_copy(
        update={
            "snapshots": snapshots,
            "snapshot_log": [
                SnapshotLogEntry(snapshot_id=s.snapshot_id, timestamp_ms=s.timestamp_ms)
                for s in snapshots
            ],
            "refs": {"main": ref(count, "branch")},
            "properties": {},
        }
    )


def test_a_table_that_is_loaded_hourly_keeps_its_snapshots_for_five_days(lake: Lake) -> None:
    metadata = history(lake, minutes=60, count=24 * 10)
    expired = expired_snapshots(metadata, Retention())
    assert ids(expired) == set(range(1, 24 * 5))


def test_a_table_that_is_loaded_each_minute_keeps_the_last_snapshot_of_each_hour(
    lake: Lake,
) -> None:
    metadata = history(lake, minutes=1, count=3000)
    expired = ids(expired_snapshots(metadata, Retention()))
    kept = [s for s in metadata.snapshots if s.snapshot_id not in expired]
    assert ids(kept) >= set(range(2901, 3001))
    assert len(kept) <= 100 + 3000 // 60 + 1
    hours: dict[int, int] = {s.timestamp_ms // 3_600_000: s.snapshot_id for s in metadata.snapshots}
    assert set(hours.values()) <= ids(kept)
    assert not expired_snapshots(metadata.model_copy(update={"snapshots": kept}), Retention())


def test_commits_to_another_branch_do_not_count_as_commits_to_main(lake: Lake) -> None:
    """Each hour of `main` keeps its last snapshot, however often a branch is committed to."""
    metadata = history(lake, minutes=1, count=2999)
    audit = ref(2998, "branch")
    of_main = [entry for entry in metadata.snapshot_log if entry.snapshot_id % 2]
    metadata = metadata.model_copy(
        update={"snapshot_log": of_main, "refs": {**metadata.refs, "audit": audit}}
    )
    kept = ids(metadata.snapshots) - ids(expired_snapshots(metadata, Retention()))
    assert kept >= set(range(2801, 3000, 2))
    hours = {entry.timestamp_ms // 3_600_000: entry.snapshot_id for entry in of_main}
    assert set(hours.values()) <= kept
    assert len(kept) <= 2 * (100 + 3000 // 60 + 1)


def test_what_refs_and_the_watermark_need_does_not_expire(lake: Lake) -> None:
    metadata = history(lake, minutes=60, count=500)
    summary = Summary(Operation.APPEND, **{"dlt.seq": "7", "dlt.log-uuid": "x"})
    snapshots = list(metadata.snapshots)
    snapshots[39] = snapshots[39].model_copy(update={"summary": summary})
    refs = {
        **metadata.refs,
        "release": ref(20, "tag"),
        "trial": ref(30, "branch", **{"min-snapshots-to-keep": 2}),
    }
    needed = metadata.model_copy(
        update={
            "snapshots": snapshots,
            "refs": refs,
            "properties": {"dlt.published-snapshot-id": "10"},
        }
    )
    expired = ids(expired_snapshots(needed, Retention(timedelta(hours=5), 12)))
    assert set(range(1, 489)) - expired == {10, 20, 29, 30, 40}


def test_the_age_of_a_snapshot_begins_when_it_ceases_to_be_current(lake: Lake) -> None:
    metadata = history(lake, minutes=60 * 24 * 30, count=15)
    assert 14 not in ids(expired_snapshots(metadata, Retention(timedelta(days=1), 1)))
    assert 13 in ids(expired_snapshots(metadata, Retention(timedelta(days=1), 1)))
