"""Batches and row groups are bounded by bytes, however many columns or bytes a row has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO, schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType, NestedField

from floe_ingestion_defs.destinations.impl.iceberg.files import data_files, staged_files
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    BATCH_ROWS,
    stream_batches,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import count_nulls
from floe_ingestion_defs.destinations.impl.iceberg.files.statistics import (
    METRICS_OF,
    MOST_INFERRED,
    read_statistics,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import StagedFile

if TYPE_CHECKING:
    from pathlib import Path

    from destinations.iceberg.conftest import Lake

SMALL = 64 * 1024


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "BATCH_BYTES", SMALL)
    monkeypatch.setattr(data_files, "ROW_GROUP_BYTES", 4 * SMALL)
    monkeypatch.setattr(staged_files, "BATCH_BYTES", SMALL)
    monkeypatch.setattr(staged_files, "SORTED_FILE_BYTES", 4 * SMALL)


def written(path: Path, rows: pa.Table) -> pq.ParquetFile:
    pq.write_table(rows, path)
    return pq.ParquetFile(path)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(
            pa.table({f"c{number}": pa.array(range(2_000)) for number in range(50)}), id="wide"
        ),
        # Parquet stores one value once, in a dictionary.
        pytest.param(
            pa.table({f"c{number}": pa.array([7] * 2_000) for number in range(50)}), id="repeated"
        ),
        pytest.param(
            pa.table({"body": [f"{number:04d}" * 1_000 for number in range(200)]}), id="long"
        ),
    ],
)
def test_a_batch_is_bounded_by_bytes(rows: pa.Table, tmp_path: Path) -> None:
    batches = list(stream_batches(written(tmp_path / "rows.parquet", rows)))
    assert pa.Table.from_batches(batches).equals(rows)
    assert max(batch.nbytes for batch in batches) <= 2 * SMALL


def test_a_batch_of_narrow_rows_is_bounded_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    file = written(tmp_path / "rows.parquet", pa.table({"id": pa.array(range(100_000))}))
    assert [batch.num_rows for batch in stream_batches(file)] == [BATCH_ROWS, 100_000 - BATCH_ROWS]


def test_a_batch_of_some_columns_has_more_rows(tmp_path: Path) -> None:
    rows = pa.table({f"c{number}": pa.array(range(2_000)) for number in range(50)})
    file = written(tmp_path / "rows.parquet", rows)
    assert [batch.num_rows for batch in stream_batches(file, ["c0"])] == [2_000]


def test_small_row_groups_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request takes time of its own; together they stay within the bounds of one batch."""
    rows = pa.table({"id": range(1_000), "body": [f"{n:04d}" * 100 for n in range(1_000)]})
    path = tmp_path / "rows.parquet"
    pq.write_table(rows, path, row_group_size=10)
    batches = list(stream_batches(pq.ParquetFile(path)))
    assert pa.Table.from_batches(batches).equals(rows)
    assert max(batch.nbytes for batch in batches) <= SMALL
    assert len(batches) <= 10
    monkeypatch.setattr(data_files, "BATCH_ROWS", 250)
    batches = list(stream_batches(pq.ParquetFile(path), ["id"]))
    assert [batch.num_rows for batch in batches] == [250] * 4


@pytest.mark.parametrize("statistics", [True, ["id"], False], ids=str)
def test_nulls_are_counted_as_in_the_rows(statistics: bool | list[str], tmp_path: Path) -> None:
    """Of columns that are absent, nested, or without statistics too, and of several files."""
    files = []
    for number in range(2):
        values = [None if n % (number + 2) else n for n in range(30)]
        nested = [None if n is None else {"in": n} for n in values]
        rows = pa.table({"id": values, "a.b": values[::-1], "outer": nested, "in": range(30)})
        if number:
            rows = rows.append_column("late", pa.array(values))
        path = tmp_path / f"{number}.parquet"
        pq.write_table(rows, path, row_group_size=7, write_statistics=statistics)
        files.append(StagedFile(path=str(path), rows=30, bytes=path.stat().st_size))
    counts = count_nulls(PyArrowFileIO(), files, ["id", "a.b", "outer", "in", "late"])
    assert counts == {"id": 35, "a.b": 35, "outer": 35, "in": 0, "late": 50}


@pytest.mark.parametrize("is_sorted", [False, True], ids=["unsorted", "sorted"])
def test_rows_that_a_merge_writes_again_are_bounded_by_bytes(is_sorted: bool, lake: Lake) -> None:
    for ids in (range(200), range(100, 101)):
        rows = pa.table({"id": pa.array(ids), "body": [f"{n:04d}" * 1_000 for n in ids]})
        lake.load(
            rows,
            options={"merge_mode": "copy-on-write"},
            table_name="long",
            primary_key="id",
            columns={"id": {"sort": is_sorted}},
            write_disposition={"disposition": "merge", "strategy": "upsert"},
        )
    table = lake.table("long")
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == list(range(200))
    footers = [
        pq.read_metadata(table.io.new_input(task.file.file_path).open())
        for task in table.scan().plan_files()
    ]
    assert sum(footer.num_row_groups for footer in footers) >= 3


def test_statistics_are_kept_of_the_first_hundred_columns_and_the_keys(lake: Lake) -> None:
    names = [f"c{number:03d}" for number in range(120)]
    for value in (1, 2):
        rows = pa.table({**{name: [value] for name in names}, "id": [value]})
        lake.load(
            rows,
            table_name="wide",
            primary_key="id",
            write_disposition={"disposition": "merge", "strategy": "upsert"},
        )
    schema = lake.table("wide").schema()
    for task in lake.table("wide").scan().plan_files():
        bounded = {schema.find_column_name(field_id) for field_id in task.file.lower_bounds}
        assert bounded == {*names[:100], "id"}


def test_statistics_are_kept_as_properties_of_a_wide_table_configure(lake: Lake) -> None:
    schema = Schema(*(NestedField(n, f"c{n}", IntegerType()) for n in range(1, 131)))
    footer = written(lake.folder / "wide.parquet", schema_to_pyarrow(schema).empty_table()).metadata

    def counted(properties: dict[str, str]) -> int:
        return len(read_statistics(footer, schema, properties)["value_counts"])

    assert counted({}) == 100
    assert counted({MOST_INFERRED: "3"}) == 3
    assert counted({"write.metadata.metrics.default": "counts"}) == 130
    assert counted({f"{METRICS_OF}c130": "counts"}) == 101
