"""Manifests of a table that grows: none without live files, and a bounded number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.adapters import iceberg_adapter
from pyiceberg.manifest import ManifestEntryStatus

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    data_path,
    write_data_file,
)

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


@pytest.mark.parametrize("mode", ["copy-on-write", "merge-on-read"])
def test_merges_keep_the_number_of_manifests_bounded(lake: Lake, mode: str) -> None:
    """Each merge changes a row of the previous one and adds nine."""
    properties = {"commit.manifest.min-count-to-merge": "3"}
    for load in range(6):
        ids = list(range(load * 9, load * 9 + 10))
        rows = pa.table({"id": ids, "v": [load] * 10})
        resource = dlt.resource([rows], name="t", primary_key="id", write_disposition="merge")
        lake.load(
            iceberg_adapter(resource, table_properties=properties), options={"merge_mode": mode}
        )
        table = lake.table("t")
        snapshot = table.current_snapshot()
        assert snapshot is not None
        manifests = snapshot.manifests(table.io)
        assert len(manifests) <= 6
        for manifest in manifests:
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
            for entry in entries:
                is_removed = entry.status == ManifestEntryStatus.DELETED
                assert not is_removed or entry.snapshot_id == snapshot.snapshot_id
                is_added = entry.status == ManifestEntryStatus.ADDED
                assert not is_added or entry.snapshot_id == manifest.added_snapshot_id
    found = lake.arrow("t").to_pydict()
    expected = {number: min(number // 9, 5) for number in range(55)}
    assert dict(zip(found["id"], found["v"], strict=True)) == expected
    assert len(found["id"]) == 55


def test_appends_combine_manifests_that_list_about_as_many_files(lake: Lake) -> None:
    """So no append rewrites all entries but those that fill all tiers at once."""
    properties = {"commit.manifest.min-count-to-merge": "3"}
    resource = dlt.resource([pa.table({"id": [0]})], name="t", write_disposition="append")
    lake.load(iceberg_adapter(resource, table_properties=properties))
    dataset = Dataset(lake.catalog, lake.dataset)
    rewritten = []
    for number in range(1, 27):
        table = dataset.load_table("t")
        assert table is not None
        path = data_path(table.metadata, "rewritten")
        batch = pa.table({"id": [number]}).to_batches()
        write_data_file(table.io, table.metadata, path, batch)
        with table.transaction() as transaction:
            add_snapshot(transaction, [data_file_from_footer(table.metadata, table.io, path)])
        table = lake.table("t")
        snapshot = table.current_snapshot()
        assert snapshot is not None
        manifests = snapshot.manifests(table.io)
        assert len(manifests) <= 2 * 3
        own = [m for m in manifests if m.added_snapshot_id == snapshot.snapshot_id]
        rewritten.append(sum(m.existing_files_count or 0 for m in own))
    assert lake.values("t", "id") == list(range(27))
    # The append with number n is the n+1st file.
    assert [n + 1 for n, files in enumerate(rewritten, 1) if files] == list(range(3, 28, 3))
    assert sum(rewritten) <= 3 * 27
