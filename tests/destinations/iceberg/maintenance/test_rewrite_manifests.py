"""Manifests are combined to few, and tables stay the same in every other respect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt
from dlt.destinations.adapters import iceberg_adapter
from pyiceberg.manifest import ManifestContent
from pyiceberg.table.snapshots import Operation

from floe_ingestion_defs.destinations import rewrite_manifests, watermark_of
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from pyiceberg.manifest import ManifestFile

NOT_MERGED = {"commit.manifest-merge.enabled": "false", "write.merge.mode": "merge-on-read"}


def load(lake: Lake, *ids: int, name: str = "new") -> None:
    rows = [{"id": number, "name": name} for number in ids]
    resource = dlt.resource(rows, name="users", primary_key="id", write_disposition="merge")
    lake.load(iceberg_adapter(resource, table_properties=NOT_MERGED))


def manifests(lake: Lake) -> list[ManifestFile]:
    table = lake.table("users")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return snapshot.manifests(table.io)


def test_manifests_of_data_and_of_delete_files_become_one_each(lake: Lake) -> None:
    load(lake, *range(20))
    load(lake, *range(20, 40))
    load(lake, 3, name="changed")
    load(lake, 25, name="changed")
    before, rows = manifests(lake), lake.rows("users")
    files = {task.file.file_path for task in lake.table("users").scan().plan_files()}
    assert len(before) > 4
    dataset = Dataset(lake.catalog, lake.dataset)
    result = rewrite_manifests(dataset, "users")
    assert (result.manifests_before, result.manifests_after) == (len(before), 2)
    contents = sorted(manifest.content for manifest in manifests(lake))
    assert contents == [ManifestContent.DATA, ManifestContent.DELETES]
    assert lake.rows("users") == rows
    table = lake.table("users")
    assert {task.file.file_path for task in table.scan().plan_files()} == files
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary.operation == Operation.REPLACE
    view = dataset.log.read()
    assert view is not None
    assert watermark_of(table, view.uuid) == 4
    snapshots = lake.snapshots("users")
    assert rewrite_manifests(dataset, "users").manifests_after == 2
    assert lake.snapshots("users") == snapshots
    load(lake, 3, name="again")
    assert [row["name"] for row in lake.rows("users") if row["id"] == 3] == ["again"]
    assert len(lake.rows("users")) == 40


def test_a_table_without_loads_and_the_log_are_left_alone(lake: Lake) -> None:
    load(lake, 1)
    dataset = Dataset(lake.catalog, lake.dataset)
    assert "log" in str(rewrite_manifests(dataset, "_dlt_loads").obstacle)
    assert "does not exist" in str(rewrite_manifests(dataset, "missing").obstacle)
