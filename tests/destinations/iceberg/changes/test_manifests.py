"""Manifests of a table that is merged into: none without live files, and a bounded number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.adapters import iceberg_adapter
from pyiceberg.manifest import ManifestEntryStatus

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
