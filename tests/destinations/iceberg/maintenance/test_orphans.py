"""The orphan sweep deletes what nothing refers to, and nothing else."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import numpy as np
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from pyiceberg.io.fsspec import FsspecFileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestFile
from pyiceberg.types import LongType

from floe_ingestion_defs.destinations import Finding, StagedTable, release_blocked
from floe_ingestion_defs.destinations.impl.iceberg.commits import commit
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import data_path
from floe_ingestion_defs.destinations.impl.iceberg.files.names import data_file_name
from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import (
    write_position_deletes,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans as maintenance
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake
    from pyiceberg.table.snapshots import Snapshot

NOW = timedelta(0)


@pytest.fixture
def sweep_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the sweep delete files that were just written, as a test cannot wait for a day."""
    monkeypatch.setattr(maintenance, "DELETE_AFTER_SECONDS", 0)


def leave_orphan(lake: Lake, table: str, name: str | None = None) -> str:
    """A file below the table that nothing refers to, by default one of the dataset's own."""
    loaded = lake.table(table)
    path = f"{loaded.location()}/data/{name}" if name else data_path(loaded.metadata, "merged")
    with loaded.io.new_output(path).create() as stream:
        stream.write(b"left behind")
    return path


def exists(lake: Lake, path: str) -> bool:
    return bool(lake.table("orders").io.new_input(path).exists())


@pytest.mark.also_on_rest
@pytest.mark.usefixtures("sweep_anything")
def test_orphans_are_listed_then_deleted(lake: Lake) -> None:
    """The tables read as before, and a second sweep finds nothing."""
    for n in range(3):
        lake.load([{"id": n}, {"id": n + 1}], table_name="orders", primary_key="id")
    orphan = leave_orphan(lake, "orders")
    dataset = Dataset(lake.catalog, lake.dataset)
    assert [file.path for file in remove_orphans(dataset, NOW)] == [orphan]
    assert exists(lake, orphan)
    assert [file.path for file in remove_orphans(dataset, NOW, dry_run=False)] == [orphan]
    assert not exists(lake, orphan)
    assert remove_orphans(dataset, NOW) == []
    assert lake.values("orders", "id") == [0, 1, 1, 2, 2, 3]
    lake.load([{"id": 9}], table_name="orders")
    assert len(lake.rows("orders")) == 7


def test_a_sweep_opens_each_manifest_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many snapshots list it."""
    for number in range(6):
        lake.load([{"id": number}], table_name="orders")
    opened = Counter[str]()
    fetch = ManifestFile.fetch_manifest_entry

    def counted(manifest: ManifestFile, *arguments: Any, **keywords: Any) -> Any:
        opened[manifest.manifest_path] += 1
        return fetch(manifest, *arguments, **keywords)

    monkeypatch.setattr(ManifestFile, "fetch_manifest_entry", counted)
    remove_orphans(Dataset(lake.catalog, lake.dataset), timedelta(days=1))
    orders = lake.table("orders")
    listed = [m.manifest_path for s in orders.metadata.snapshots for m in s.manifests(orders.io)]
    assert len(listed) > len(set(listed))
    assert set(listed) & opened.keys()
    assert max(count for path, count in opened.items() if "/orders/" in path) == 1


@pytest.mark.usefixtures("sweep_anything")
@pytest.mark.parametrize("kind", ["branch", "tag"])
def test_files_of_branches_and_tags_are_spared(lake: Lake, kind: str) -> None:
    """Snapshots that `main` does not contain may be kept on purpose."""
    lake.load([{"id": 1}], table_name="orders")
    table = lake.table("orders")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    with table.manage_snapshots() as manage:
        create = manage.create_branch if kind == "branch" else manage.create_tag
        create(snapshot.snapshot_id, "kept")
    lake.load([{"id": 2}], table_name="orders", write_disposition="replace")
    table = lake.table("orders")
    assert remove_orphans(Dataset(lake.catalog, lake.dataset), NOW, dry_run=False) == []
    kept = lake.table("orders").scan(snapshot_id=snapshot.snapshot_id).to_arrow()
    assert kept["id"].to_pylist() == [1]


def expired_snapshot(lake: Lake) -> tuple[Snapshot, str]:
    """A snapshot that has expired, and its data file, which a replacement removed."""
    lake.load([{"id": 1}], table_name="orders")
    table = lake.table("orders")
    (gone,) = [task.file.file_path for task in table.scan().plan_files()]
    snapshot = table.current_snapshot()
    assert snapshot is not None
    lake.load([{"id": 2}], table_name="orders", write_disposition="replace")
    lake.table("orders").maintenance.expire_snapshots().by_id(snapshot.snapshot_id).commit()
    return snapshot, gone


@pytest.mark.usefixtures("sweep_anything")
def test_files_of_expired_snapshots_are_orphans(lake: Lake) -> None:
    """pyiceberg's expiry forgets snapshots and leaves their files, which the sweep then finds."""
    first, gone = expired_snapshot(lake)
    swept = {
        f.path for f in remove_orphans(Dataset(lake.catalog, lake.dataset), NOW, dry_run=False)
    }
    assert {gone, first.manifest_list} <= swept
    assert lake.values("orders", "id") == [2]


def test_files_of_a_snapshot_that_was_current_in_the_last_day_are_spared(lake: Lake) -> None:
    """It has expired, but a reader that began before may still read them."""

    def age(path: str, days: float) -> None:
        then = time.time() - days * 86400
        os.utime(urlparse(path).path, (then, then))

    first, gone = expired_snapshot(lake)
    for manifest in first.manifests(lake.table("orders").io):
        age(manifest.manifest_path, 30)
    age(gone, 30)
    age(first.manifest_list, 30)
    dataset = Dataset(lake.catalog, lake.dataset)
    assert remove_orphans(dataset, timedelta(days=1), dry_run=False) == []
    assert exists(lake, gone)
    second = lake.table("orders").current_snapshot()
    assert second is not None
    # A commit that lost does not hide what was current when it was attempted.
    lost = re.sub(r"snap-\d+", "snap-1", second.manifest_list)
    path = Path(urlparse(lost).path)
    path.write_bytes(b"never finished")
    age(lost, 2)
    assert remove_orphans(dataset, timedelta(days=3), dry_run=False) == []
    assert exists(lake, gone)
    age(second.manifest_list, 2)
    swept = {file.path for file in remove_orphans(dataset, timedelta(days=1), dry_run=False)}
    assert {gone, first.manifest_list} <= swept
    assert lake.values("orders", "id") == [2]


@pytest.mark.usefixtures("sweep_anything")
def test_files_of_a_load_that_blocks_its_table_are_spared(lake: Lake) -> None:
    """They are released to a quarantine table, however long after their load was committed."""
    lake.load([{"id": 1, "name": "Ada"}], table_name="users")

    def widen(staged: StagedTable) -> Iterator[Finding]:
        if staged.intent.table == "users":
            table = lake.table("users")
            table.update_schema(allow_incompatible_changes=True).delete_column("name").commit()
            table.update_schema().add_column("name", LongType()).commit()
        yield from ()

    with pytest.raises(PipelineStepFailed, match="cannot be published"):
        lake.load([{"id": 2, "name": "Bob"}], table_name="users", options={"audits": [widen]})
    lake.load([{"id": 1}], table_name="items", pipeline="other")
    dataset = Dataset(lake.catalog, lake.dataset)
    remove_orphans(dataset, timedelta(0), dry_run=False)
    assert release_blocked(dataset, "users") == 1
    assert lake.rows("users____blocked", "id", "name") == [{"id": 2, "name": "Bob"}]


def test_young_files_are_spared(lake: Lake) -> None:
    """They may belong to a load that is about to commit."""
    lake.load([{"id": 1}], table_name="orders")
    orphan = leave_orphan(lake, "orders")
    dataset = Dataset(lake.catalog, lake.dataset)
    assert remove_orphans(dataset, timedelta(minutes=1)) == []
    time.sleep(0.05)
    assert [file.path for file in remove_orphans(dataset, timedelta(milliseconds=40))] == [orphan]


def test_a_sweep_that_could_delete_a_load_s_files_is_rejected(lake: Lake) -> None:
    """A load may commit what it wrote up to a day before."""
    lake.load([{"id": 1}], table_name="orders")
    with pytest.raises(ValueError, match="24 hours"):
        remove_orphans(Dataset(lake.catalog, lake.dataset), timedelta(hours=23), dry_run=False)


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.usefixtures("sweep_anything")
def test_a_dataset_is_loaded_and_swept_through_fsspec(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyArrow's own S3 client hangs, `py-io-impl` is the known way out."""
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__PY_IO_IMPL", "pyiceberg.io.fsspec.FsspecFileIO")
    for rows in ([{"id": 1, "tags": ["a"]}, {"id": 2}], [{"id": 2, "tags": ["b"]}]):
        lake.load(rows, table_name="orders", primary_key="id", write_disposition="merge")
    assert isinstance(lake.table("orders").io, FsspecFileIO)
    assert lake.values("orders", "id") == [1, 2]
    assert lake.values("orders__tags", "value") == ["a", "b"]
    orphan = leave_orphan(lake, "orders")
    swept = remove_orphans(Dataset(lake.catalog, lake.dataset), NOW, dry_run=False)
    assert orphan in {file.path for file in swept}
    assert lake.values("orders", "id") == [1, 2]


@pytest.mark.usefixtures("sweep_anything")
def test_tables_of_a_namespace_below_are_spared(lake: Lake) -> None:
    """Catalogs that keep them in a folder below ours would have the sweep find their files."""
    lake.load([{"id": 1}], table_name="orders")
    orders = lake.table("orders")
    lake.catalog.create_namespace("lake.sub")
    folder = orders.location().removesuffix("orders") + "sub/orders"
    below = lake.catalog.create_table("lake.sub.orders", orders.schema(), location=folder)
    below.append(orders.scan().to_arrow())
    staged = f"{folder}/data/{data_file_name(orders.metadata, 'merged')}"
    with below.io.new_output(staged).create() as stream:
        stream.write(b"about to be committed")
    assert remove_orphans(Dataset(lake.catalog, lake.dataset), NOW, dry_run=False) == []
    assert below.io.new_input(staged).exists()
    assert below.scan().to_arrow().num_rows == 1


@pytest.mark.also_on_rest
@pytest.mark.usefixtures("sweep_anything")
def test_files_staged_for_a_table_that_was_never_created_are_swept(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that died before its commit left its files beside those of the other tables."""
    lake.load([{"id": 1}], table_name="orders")

    def die(_: object) -> None:
        msg = "died"
        raise RuntimeError(msg)

    with pytest.raises(PipelineStepFailed):
        lake.load([{"id": 2}], table_name="never", options={"audits": [die]})
    dataset = Dataset(lake.catalog, lake.dataset)
    swept = [file.path for file in remove_orphans(dataset, NOW, dry_run=False)]
    assert any("never" in path.split("/data/")[0] for path in swept)
    assert remove_orphans(dataset, NOW) == []
    assert lake.values("orders", "id") == [1]


@pytest.mark.usefixtures("sweep_anything")
def test_a_table_s_credentials_are_for_its_own_files(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A catalog that hands them out gives each table some that open no other folder."""
    lake.load([{"id": 1}], table_name="orders")
    orphan = leave_orphan(lake, "orders")
    delete, listing = PyArrowFileIO.delete, vars(maintenance)["list_files"]

    def own_only(io: Any, path: str) -> None:
        if io.folder not in path:
            msg = f"{io.folder} is not the folder of {path}"
            raise PermissionError(msg)

    def load_table(self: Dataset, name: str) -> Any:
        table = commit.load_table(self.catalog, self.identifier(name))
        if table is not None:
            setattr(table.io, "folder", f"/{name}/")  # noqa: B010
        return table

    def delete_own(self: Any, path: Any) -> None:
        own_only(self, path)
        delete(self, path)

    def list_own(io: Any, path: str) -> Any:
        own_only(io, path)
        return listing(io, path)

    monkeypatch.setattr(Dataset, "load_table", load_table)
    monkeypatch.setattr(PyArrowFileIO, "delete", delete_own)
    monkeypatch.setattr(maintenance, "list_files", list_own)
    dataset = Dataset(lake.catalog, lake.dataset)
    assert [file.path for file in remove_orphans(dataset, NOW, dry_run=False)] == [orphan]
    assert not exists(lake, orphan)
    assert "Cannot search for orphans next to the tables" in caplog.text


@pytest.mark.usefixtures("sweep_anything", "merge_on_read")
def test_delete_files_are_kept_while_a_snapshot_has_them(lake: Lake) -> None:
    """One that a merge replaced belongs to the earlier snapshot, and one of no snapshot goes."""
    for numbers in (range(10), [1], [2]):
        rows = [{"id": n} for n in numbers]
        lake.load(rows, table_name="t", primary_key="id", write_disposition="merge")
    table = lake.table("t")
    task = next(task for task in table.scan().plan_files() if task.delete_files)
    path = data_path(table.metadata, "deletes")
    write_position_deletes(table.io, path, task.file, np.array([3]))
    swept = remove_orphans(Dataset(lake.catalog, lake.dataset), NOW, dry_run=False)
    assert [file.path for file in swept] == [path]
    assert lake.values("t", "id") == list(range(10))
    for snapshot in table.metadata.snapshots:
        assert len(table.scan(snapshot_id=snapshot.snapshot_id).to_arrow()) == 10
