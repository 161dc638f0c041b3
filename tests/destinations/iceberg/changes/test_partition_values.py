"""Merges and compactions of tables that are partitioned by values which are hard to compare."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.adapters import iceberg_adapter, iceberg_partition

from floe_ingestion_defs.destinations import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.compact import compact
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

FLOATS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5]
PARTITIONS: dict[str, tuple[pa.DataType, list[Any], Any]] = {
    "double": (pa.float64(), FLOATS, iceberg_partition.identity("p")),
    "float": (pa.float32(), FLOATS, iceberg_partition.identity("p")),
    "truncated binary": (
        pa.binary(), [b"", b"\xff" * 3, b"\xff" * 9, None], iceberg_partition.truncate(4, "p")
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("double", "merge-on-read"),
        ("float", "copy-on-write"),
        ("truncated binary", "merge-on-read"),
    ],
)
def test_a_merge_changes_rows_of_any_partition(lake: Lake, kind: str, mode: str) -> None:
    """The manifests that list its files are found, and the files are compacted."""
    type_, values, partition = PARTITIONS[kind]
    ids = range(4 * len(values))

    def merge(numbers: Any, v: int) -> None:
        rows = pa.table(
            {
                "id": list(numbers),
                "p": pa.array([values[n % len(values)] for n in numbers], type_),
                "v": [v] * len(numbers),
            }
        )
        resource = dlt.resource([rows], name="t", primary_key="id", write_disposition="merge")
        iceberg_adapter(resource, partition=partition)
        lake.load(resource, options={"merge_mode": mode})

    merge(ids, 0)
    merge(ids[: len(values)], 1)
    merge(ids[len(values) : 2 * len(values)], 2)
    expected = [(n, {0: 1, 1: 2}.get(n // len(values), 0)) for n in ids]
    read = lake.arrow("t").to_pydict()
    assert sorted(zip(read["id"], read["v"], strict=True)) == expected
    options = CompactionOptions(min_files=2, deleted_share=0.0)
    compacted = compact(Dataset(lake.catalog, lake.dataset), "t", options)
    assert compacted.files_removed == compacted.files_before
    assert compacted.files_added == len(values)
    read = lake.arrow("t").to_pydict()
    assert sorted(zip(read["id"], read["v"], strict=True)) == expected


@pytest.mark.parametrize("mode", ["copy-on-write", "merge-on-read"])
def test_a_retired_version_moves_to_its_partition(lake: Lake, mode: str) -> None:
    """A table may be partitioned by the end of validity, so that active rows are together."""

    def load(number: int, *cities: str) -> None:
        how: Any = {
            "disposition": "merge",
            "strategy": "scd2",
            "boundary_timestamp": datetime(2026, 1, number, tzinfo=UTC).isoformat(),
        }
        rows = [{"id": n, "city": city} for n, city in enumerate(cities)]
        resource = dlt.resource(rows, name="t", write_disposition=how)
        iceberg_adapter(resource, partition=iceberg_partition.day("_dlt_valid_to"))
        lake.load(resource, options={"merge_mode": mode})

    load(1, "Oslo", "Bergen", "Bodø", "Voss")
    load(2, "Tromsø", "Bergen", "Bodø", "Voss")
    table = lake.table("t")
    active = table.scan(row_filter="_dlt_valid_to is null").to_arrow()["city"].to_pylist()
    assert sorted(active) == ["Bergen", "Bodø", "Tromsø", "Voss"]
    retired = table.scan(row_filter="_dlt_valid_to >= '2026-01-02T00:00:00+00:00'")
    assert retired.to_arrow()["city"].to_pylist() == ["Oslo"]
