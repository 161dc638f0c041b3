"""The names of files show which dataset wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import data_path
from floe_ingestion_defs.destinations.impl.iceberg.files.names import is_named_by

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


def test_every_data_file_and_manifest_carries_the_dataset_s_id(lake: Lake) -> None:
    """Staged, merged, rewritten and compacted ones, those of the log and of dlt's own tables."""
    for n in range(14):
        rows = [{"id": n, "tags": ["a"]}, {"id": n + 1, "tags": ["b"]}]
        lake.load(rows, table_name="orders", primary_key="id", write_disposition="merge")
    uuid = str(lake.table("_dlt_loads").metadata.table_uuid)
    names = set()
    for *_, name in lake.catalog.list_tables(lake.dataset):
        table = lake.table(name)
        for snapshot in table.metadata.snapshots:
            names.add(snapshot.manifest_list)
            for manifest in snapshot.manifests(table.io):
                names.add(manifest.manifest_path)
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
                names.update(entry.data_file.file_path for entry in entries)
    names = {path.rpartition("/")[2] for path in names}
    assert len(names) > 100
    assert [name for name in names if not is_named_by(uuid, name)] == []
    assert any("-compacted-" in name for name in names)
    assert any("-merged-" in name or "-rewritten-" in name for name in names)


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.replace(".parquet", ".csv"),
        lambda name: name.replace(".parquet", "-copy.parquet"),
        lambda name: f"{name}.bak",
        lambda name: f"report-{name}",
        lambda name: name.replace("floe-", ""),
    ],
)
def test_a_file_named_otherwise_does_not_belong_to_the_dataset(lake: Lake, change: object) -> None:
    """A copy or a report beside a data file may be kept on purpose."""
    lake.load([{"id": 1}], table_name="orders")
    log = lake.table("_dlt_loads")
    (task,) = lake.table("orders").scan().plan_files()
    name = task.file.file_path.rpartition("/")[2]
    assert is_named_by(str(log.metadata.table_uuid), name)
    assert is_named_by(str(log.metadata.table_uuid), f"10110-{name}")
    assert callable(change)
    assert not is_named_by(str(log.metadata.table_uuid), change(name))
    assert not is_named_by("00000000-0000-4000-8000-000000000000", name)


def test_an_origin_that_would_not_be_recognized_is_rejected(lake: Lake) -> None:
    """Otherwise the file would be left behind forever."""
    lake.load([{"id": 1}], table_name="orders")
    with pytest.raises(ValueError, match="not a valid origin"):
        data_path(lake.table("orders").metadata, "merged-1")
