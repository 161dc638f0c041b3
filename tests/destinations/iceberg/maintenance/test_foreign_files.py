"""The sweep deletes only what is the dataset's own, in folders that no other table uses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import data_path
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import folder_key
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import Orphan


@pytest.fixture(autouse=True)
def sweep_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the sweep delete files that were just written, as a test cannot wait for a day."""
    monkeypatch.setattr(orphans, "DELETE_AFTER_SECONDS", 0)


def sweep(lake: Lake, **options: Any) -> dict[str, Orphan]:
    dataset = Dataset(lake.catalog, lake.dataset)
    found = orphans.remove_orphans(dataset, timedelta(0), dry_run=False, **options)
    return {orphan.path: orphan for orphan in found}


def write(table: Table, path: str) -> str:
    with table.io.new_output(path).create() as stream:
        stream.write(b"kept")
    return path


def set_property(table: Table, **properties: str) -> None:
    with table.transaction() as transaction:
        transaction.set_properties({k.replace("_", "."): v for k, v in properties.items()})


@pytest.mark.also_on_rest
def test_a_report_in_the_folder_is_listed_and_kept(lake: Lake) -> None:
    """It is deleted only if its path is passed explicitly."""
    lake.load([{"id": 1}], table_name="orders")
    table = lake.table("orders")
    report = write(table, f"{table.location()}/data/report.parquet")
    found = sweep(lake)[report]
    assert found.doubt == "its name does not have the id of this dataset"
    assert table.io.new_input(report).exists()
    sweep(lake, also_delete=[report])
    assert not table.io.new_input(report).exists()
    assert lake.values("orders", "id") == [1]


@pytest.mark.parametrize("layout", ["plain", "object storage"])
def test_tables_that_share_a_data_path_keep_their_files(lake: Lake, layout: str) -> None:
    """Neither the one of another namespace, of other writers, nor the one of this dataset."""
    shared = f"{lake.folder}/shared"
    lake.load([{"id": 0}], table_name="orders")
    lake.catalog.create_namespace("elsewhere")
    schema = lake.table("orders").schema()
    lake.catalog.create_table("elsewhere.theirs", schema)
    lake.load([{"id": 0}], table_name="items")
    for name in (f"{lake.dataset}.orders", f"{lake.dataset}.items", "elsewhere.theirs"):
        properties = {"write_data_path": shared}
        if layout == "object storage":
            properties["write_object-storage_enabled"] = "true"
        set_property(lake.catalog.load_table(name), **properties)
    theirs = lake.catalog.load_table("elsewhere.theirs")
    theirs.append(lake.arrow("orders"))
    for n in (1, 2):
        for name in ("orders", "items"):
            lake.load([{"id": n}], table_name=name)
    staged = write(theirs, data_path(lake.table("orders").metadata, "merged"))
    found = sweep(lake)
    assert found[staged].doubt == "`elsewhere.theirs` uses its folder"
    assert theirs.io.new_input(staged).exists()
    assert lake.catalog.load_table("elsewhere.theirs").scan().to_arrow().num_rows == 1
    assert lake.values("orders", "id") == lake.values("items", "id") == [0, 1, 2]
    lake.catalog.drop_table("elsewhere.theirs")
    assert sweep(lake)[staged].doubt is None
    assert not theirs.io.new_input(staged).exists()
    assert lake.values("orders", "id") == lake.values("items", "id") == [0, 1, 2]


@pytest.mark.parametrize("namespace", ["archive", "archive.deep.below"])
def test_a_table_that_was_moved_elsewhere_keeps_its_files(lake: Lake, namespace: str) -> None:
    """It has the dataset's own names in its files, and a location in the dataset's folder."""
    lake.load([{"id": 1}], table_name="orders")
    levels = namespace.split(".")
    for depth in range(1, len(levels) + 1):
        lake.catalog.create_namespace(tuple(levels[:depth]))
    lake.catalog.rename_table(f"{lake.dataset}.orders", f"{namespace}.orders")
    lake.load([{"id": 2}], table_name="orders")
    # A table of the dataset at the same location, as those that were made before had.
    moved = lake.catalog.load_table(f"{namespace}.orders")
    set_property(lake.table("orders"), write_data_path=f"{moved.location()}/data")
    lake.load([{"id": 3}], table_name="orders")
    found = sweep(lake)
    (kept,) = [task.file.file_path for task in moved.scan().plan_files()]
    assert found[kept].doubt == f"`{namespace}.orders` uses its folder"
    assert moved.scan().to_arrow()["id"].to_pylist() == [1]
    assert lake.values("orders", "id") == [2, 3]


@pytest.mark.parametrize("what", ["list_namespaces", "list_tables", "load_table"])
def test_a_location_that_cannot_be_checked_counts_as_used(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A role without the right to read another namespace cannot know what its tables use."""
    lake.load([{"id": 1}], table_name="orders")
    lake.catalog.create_namespace("secret")
    lake.catalog.create_table("secret.theirs", lake.table("orders").schema())
    left = write(lake.table("orders"), data_path(lake.table("orders").metadata, "merged"))
    ask = getattr(SqlCatalog, what)

    def deny(self: SqlCatalog, subject: Any = (), *rest: Any) -> Any:
        if "secret" in subject or (what == "list_namespaces" and not subject):
            msg = "denied"
            raise PermissionError(msg)
        return ask(self, subject, *rest)

    with monkeypatch.context() as denied:
        denied.setattr(SqlCatalog, what, deny)
        found = sweep(lake)
    assert "cannot be read and may use any folder" in str(found[left].doubt)
    assert "PermissionError" in str(found[left].doubt)
    assert sweep(lake)[left].doubt is None
    assert not lake.table("orders").io.new_input(left).exists()


def test_metadata_of_a_lost_commit_is_recognized_by_its_content(lake: Lake) -> None:
    """Catalogs name metadata files, so a copy of another table's is recognized by its uuid."""
    lake.load([{"id": 1}], table_name="orders")
    table = lake.table("orders")
    content = json.loads(table.metadata.model_dump_json())
    folder = f"{table.location()}/metadata/00009-00000000-0000-4000-8000-00000000000"
    for digit, uuid in (
        ("1", content["table-uuid"]),
        ("2", "0" * 8 + "-0000-4000-8000-" + "0" * 12),
    ):
        with table.io.new_output(f"{folder}{digit}.metadata.json").create() as stream:
            stream.write(json.dumps({**content, "table-uuid": uuid}).encode())
    write(table, f"{folder}3.metadata.json")
    found = sweep(lake)
    doubts = [found[f"{folder}{digit}.metadata.json"].doubt for digit in "123"]
    assert doubts == [None, *["its contents are not metadata of this table"] * 2]
    assert not table.io.new_input(f"{folder}1.metadata.json").exists()
    assert table.io.new_input(f"{folder}2.metadata.json").exists()


def test_the_folder_of_a_table_that_was_dropped_is_kept(lake: Lake) -> None:
    """It has metadata, with which the table can be registered again."""
    lake.load([{"id": 1}], table_name="orders")
    lake.load([{"id": 2}], table_name="items")
    dropped = lake.table("orders")
    lake.catalog.drop_table(f"{lake.dataset}.orders")
    sweep(lake)
    lake.catalog.register_table(f"{lake.dataset}.orders", dropped.metadata_location)
    assert lake.values("orders", "id") == [1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hdfs://nn:8020/w/f", "hdfs://nn/w/f"),
        ("hdfs://nn/w/f", "hdfs://cluster/w/f/"),
        ("s3://b/w//f", "s3://b/w/f"),
        ("s3://b/w/f", "s3a://b/w/f/"),
        ("s3n://b/w/f", "s3://b/w/./f"),
        (
            "abfss://c@account.dfs.core.windows.net/w/f",
            "wasbs://c@account.blob.core.windows.net/w/f",
        ),
        ("abfs://c/w/f", "abfss://c@account.dfs.core.windows.net/w/f"),
        ("gs://b/w%20f", "gs://b/w f"),
        ("file:///w/f", "/w/f"),
        ("file:/w/f", "file://localhost/w/f"),
    ],
)
def test_spellings_of_one_location_are_one(one: str, other: str) -> None:
    """A table that uses the folder may have its location in another form."""
    assert folder_key(one) == folder_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("s3://a/w/f", "s3://b/w/f"), ("/w/f", "/w/ff"), ("gs://b/w/f", "gs://b/w")],
)
def test_different_locations_are_different(one: str, other: str) -> None:
    assert folder_key(one) != folder_key(other)


def test_a_link_to_a_folder_is_that_folder(lake: Lake) -> None:
    """A local warehouse may be known by the name of a link to it."""
    (lake.folder / "real").mkdir()
    (lake.folder / "link").symlink_to(lake.folder / "real")
    assert folder_key(f"file://{lake.folder}/link/f") == folder_key(f"{lake.folder}/real/f")


def test_a_file_is_known_by_its_name_however_its_path_is_spelled(lake: Lake) -> None:
    """Another engine may have written its path in another form into the metadata."""
    lake.load([{"id": 1}], table_name="orders")
    table = lake.table("orders")
    (task,) = table.scan().plan_files()
    path = task.file.file_path
    doubled = path.replace("/data/", "//data//")
    assert doubled != path
    with table.transaction() as transaction:
        transaction.delete("id = 1")
        transaction.add_files([doubled])
    for snapshot in table.metadata.snapshots[:1]:
        lake.table("orders").maintenance.expire_snapshots().by_id(snapshot.snapshot_id).commit()
    sweep(lake)
    assert lake.values("orders", "id") == [1]
