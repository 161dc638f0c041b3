"""The columns of a staged file are the table's columns of the same names, whatever ids it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.adapters import iceberg_adapter, iceberg_partition

from floe_ingestion_defs.destinations import Finding, StagedTable

if TYPE_CHECKING:
    from tests.destinations.iceberg.conftest import Lake


def with_ids(**columns: tuple[int, list[int]]) -> pa.Table:
    """A table whose columns carry field ids, as those read from other Iceberg tables' files do."""
    schema = pa.schema(
        pa.field(name, pa.int64(), metadata={b"PARQUET:field_id": str(number).encode()})
        for name, (number, _) in columns.items()
    )
    return pa.table([values for _, values in columns.values()], schema=schema)


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_field_ids_of_a_source_mean_nothing(lake: Lake, disposition: str) -> None:
    """Rows that come with another table's field ids keep their values in their columns."""
    foreign = with_ids(id=(7, [1, 2]), a=(3, [10, 20]), b=(2, [100, 200]))
    lake.load(dlt.resource([foreign], name="t", primary_key="id"), write_disposition=disposition)
    plain = pa.table({"id": [3], "a": [30], "b": [300]})
    lake.load(dlt.resource([plain], name="t", primary_key="id"), write_disposition=disposition)
    assert lake.rows("t") == [
        {"id": 1, "a": 10, "b": 100},
        {"id": 2, "a": 20, "b": 200},
        {"id": 3, "a": 30, "b": 300},
    ]


def test_loads_that_add_different_columns_at_once_keep_them_apart(lake: Lake) -> None:
    """A file that was staged before another load added its column is read by names all the same."""

    def partitioned(row: dict[str, int]) -> object:
        # The rows of a partitioned table are written by the destination itself.
        rows = dlt.resource([row], name="t")
        return iceberg_adapter(rows, partition=[iceberg_partition.bucket(4, "id")])

    lake.load(partitioned({"id": 1}))
    overtaken = []

    def overtake(staged: StagedTable) -> Iterator[Finding]:
        if staged.intent.table == "t" and not overtaken:
            overtaken.append(lake.load(partitioned({"id": 2, "theirs": 20}), pipeline="faster"))
        yield from ()

    lake.load(partitioned({"id": 3, "ours": 30}), options={"audits": [overtake]})
    assert overtaken
    assert lake.rows("t", "id", "ours", "theirs") == [
        {"id": 1, "ours": None, "theirs": None},
        {"id": 2, "ours": None, "theirs": 20},
        {"id": 3, "ours": 30, "theirs": None},
    ]
