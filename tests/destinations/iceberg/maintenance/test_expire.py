"""Expiry removes old snapshots with the files that only they need, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dlt
import pytest
from dlt.destinations.adapters import iceberg_adapter

from floe_ingestion_defs.destinations import ExpiryOptions, ExpiryResult, watermark_of
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import expire as expiry
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.expire import (
    expire,
    remove_expired_files,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.references import References

if TYPE_CHECKING:
    from collections.abc import Iterable

    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import Table

AT_ONCE = ExpiryOptions(timedelta(0), 1)


@pytest.fixture
def delete_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets files be deleted that were just written, as a test cannot wait for a day."""
    monkeypatch.setattr(orphans, "DELETE_AFTER_SECONDS", 0)
    monkeypatch.setattr(expiry, "DELETE_AFTER_SECONDS", 0)


def replace(lake: Lake, value: int, properties: dict[str, str] | None = None) -> None:
    resource = dlt.resource([{"id": value}], name="orders", write_disposition="replace")
    lake.load(iceberg_adapter(resource, table_properties=properties) if properties else resource)


def dataset_of(lake: Lake) -> Dataset:
    return Dataset(lake.catalog, lake.dataset)


def snapshot_ids(table: Table) -> list[int]:
    return [snapshot.snapshot_id for snapshot in table.metadata.snapshots]


def data_files(table: Table, snapshot_id: int) -> list[str]:
    return [task.file.file_path for task in table.scan(snapshot_id=snapshot_id).plan_files()]


def exist(table: Table, paths: Iterable[str]) -> list[bool]:
    return [table.io.new_input(path).exists() for path in paths]


@pytest.mark.also_on_rest
@pytest.mark.usefixtures("delete_anything")
def test_files_of_expired_snapshots_are_deleted_and_those_of_others_kept(lake: Lake) -> None:
    for value in range(4):
        replace(lake, value)
    table = lake.table("orders")
    first, tagged, third, head = snapshot_ids(table)
    with table.manage_snapshots() as manage:
        manage.create_tag(tagged, "audited")
    gone = [*data_files(table, first), *data_files(table, third)]
    lists = [snapshot.manifest_list for snapshot in table.metadata.snapshots]
    dataset = dataset_of(lake)
    planned = expire(dataset, "orders", AT_ONCE, dry_run=True)
    assert planned.snapshots_expired == 2
    assert snapshot_ids(lake.table("orders")) == [first, tagged, third, head]
    result = expire(dataset, "orders", AT_ONCE)
    assert (result.snapshots_before, result.snapshots_expired) == (4, 2)
    assert exist(table, gone) == [True, True]
    files = remove_expired_files(dataset, {"orders": result})
    deleted = {file.path for file in files}
    assert {*gone, lists[0], lists[2]} <= deleted
    freed = [file for file in files if not file.path.rpartition("/")[2].startswith("snap-")]
    freed = [file for file in freed if not file.path.endswith(".json")]
    assert (planned.files_freed, planned.bytes_freed) == (len(freed), sum(f.bytes for f in freed))
    assert exist(table, gone) == [False, False]
    table = lake.table("orders")
    assert snapshot_ids(table) == [tagged, head]
    assert table.scan(snapshot_id=tagged).to_arrow()["id"].to_pylist() == [1]
    assert lake.values("orders", "id") == [3]
    view = dataset.log.read()
    assert view is not None
    assert watermark_of(table, view.uuid) == 4
    replace(lake, 4)
    assert lake.values("orders", "id") == [4]


def test_files_that_were_current_in_the_last_day_are_kept(lake: Lake) -> None:
    """A query may still read them; the sweep deletes them later."""
    for value in range(3):
        replace(lake, value)
    read = lake.table("orders")
    earlier = snapshot_ids(read)[:2]
    dataset = dataset_of(lake)
    result = expire(dataset, "orders", AT_ONCE)
    assert result.snapshots_expired == 2
    assert remove_expired_files(dataset, {"orders": result}) == []
    found = [read.scan(snapshot_id=old).to_arrow()["id"].to_pylist() for old in earlier]
    assert found == [[0], [1]]


@pytest.mark.usefixtures("delete_anything")
def test_files_that_another_table_shares_are_kept(lake: Lake) -> None:
    """Such as a table that an operator registered from the metadata."""
    for value in range(3):
        replace(lake, value)
    table = lake.table("orders")
    lake.catalog.register_table((lake.dataset, "backup"), table.metadata_location)
    before = [s.snapshot_id for s in table.metadata.snapshots]
    dataset = dataset_of(lake)
    result = expire(dataset, "orders", AT_ONCE)
    assert result.snapshots_expired == 2
    assert not remove_expired_files(dataset, {"orders": result})
    backup = lake.table("backup")
    found = [backup.scan(snapshot_id=old).to_arrow()["id"].to_pylist() for old in before]
    assert found == [[0], [1], [2]]


def test_the_properties_of_a_table_take_precedence(lake: Lake) -> None:
    age = {"history.expire.max-snapshot-age-ms": str(3_600_000)}
    for value in range(3):
        replace(lake, value, age)
    assert expire(dataset_of(lake), "orders", AT_ONCE).snapshots_expired == 0
    count = {"history.expire.min-snapshots-to-keep": "2", "history.expire.max-snapshot-age-ms": "0"}
    with lake.table("orders").transaction() as transaction:
        transaction.set_properties(count)
    assert expire(dataset_of(lake), "orders").snapshots_expired == 1
    with lake.table("orders").transaction() as transaction:
        transaction.set_properties({"gc.enabled": "false"})
    forbidden = expire(dataset_of(lake), "orders", AT_ONCE)
    assert forbidden.snapshots_expired == 0
    assert "gc.enabled" in str(forbidden.obstacle)
    assert "dataset's log" in str(expire(dataset_of(lake), "_dlt_loads", AT_ONCE).obstacle)
    assert "does not exist" in str(expire(dataset_of(lake), "missing", AT_ONCE).obstacle)


@pytest.mark.usefixtures("delete_anything")
def test_what_another_writer_does_during_an_expiry_is_kept(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag on a snapshot that was to expire, and a load."""
    for value in range(4):
        replace(lake, value)
    first, second, third, _ = snapshot_ids(lake.table("orders"))
    read = References.add_manifest_lists

    def read_slowly(self: References, lists: Iterable[tuple[Table, str]]) -> None:
        read(self, lists)
        monkeypatch.setattr(References, "add_manifest_lists", read)
        with lake.table("orders").manage_snapshots() as manage:
            manage.create_tag(second, "audited")
        replace(lake, 9)

    monkeypatch.setattr(References, "add_manifest_lists", read_slowly)
    dataset = dataset_of(lake)
    result: ExpiryResult = expire(dataset, "orders", AT_ONCE)
    remove_expired_files(dataset, {"orders": result})
    table = lake.table("orders")
    assert {first, third}.isdisjoint(snapshot_ids(table))
    assert table.scan(snapshot_id=second).to_arrow()["id"].to_pylist() == [1]
    assert lake.values("orders", "id") == [9]
    left = {file.path for file in remove_orphans(dataset, timedelta(0))}
    assert not any("/orders/" in path for path in left)
