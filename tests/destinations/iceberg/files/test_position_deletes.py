"""Position-delete files, as version 2 of Iceberg's format specifies them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import (
    FILE_PATH_ID,
    POSITION_ID,
    delete_files_of,
    positions_of_live_rows,
    read_deleted_positions,
    write_position_deletes,
)

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


@pytest.mark.parametrize("seed", range(20))
def test_a_row_is_found_by_its_number_among_the_live_rows(seed: int) -> None:
    """Rows are numbered as they are read, without those that are deleted already."""
    random = np.random.default_rng(seed)
    deleted = np.flatnonzero(random.random(50) < random.random())
    live = np.setdiff1d(np.arange(50), deleted)
    numbers = np.flatnonzero(random.random(len(live)) < 0.5)
    assert positions_of_live_rows(numbers, deleted).tolist() == live[numbers].tolist()


@pytest.mark.usefixtures("merge_on_read")
def test_a_delete_file_names_one_data_file(lake: Lake) -> None:
    """Its ids are the specification's, its rows sorted, its bounds the path and the positions."""
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": "merge"}
    lake.load([{"id": n} for n in range(9)], **arguments)
    lake.load([{"id": n} for n in (7, 3, 5)], **arguments)
    table = lake.table("t")
    task = next(task for task in table.scan().plan_files() if task.delete_files)
    (deletes,) = delete_files_of(task)
    with table.io.new_input(deletes.file_path).open() as stream:
        written = pq.read_table(stream)
    ids = [int(field.metadata[b"PARQUET:field_id"]) for field in written.schema]
    assert ids == [FILE_PATH_ID, POSITION_ID]
    assert not any(field.nullable for field in written.schema)
    assert written.to_pydict() == {"file_path": [task.file.file_path] * 3, "pos": [3, 5, 7]}
    assert deletes.lower_bounds[FILE_PATH_ID].decode() == task.file.file_path
    assert deletes.upper_bounds[FILE_PATH_ID].decode() == task.file.file_path
    assert (deletes.record_count, deletes.file_size_in_bytes) == (
        3,
        len(table.io.new_input(deletes.file_path)),
    )
    assert read_deleted_positions(table.io, task).tolist() == [3, 5, 7]


def test_a_million_positions_take_few_bytes(lake: Lake) -> None:
    """The path is stored once for all rows of a file."""
    lake.load(pa.table({"id": range(3)}), table_name="t")
    table = lake.table("t")
    (task,) = table.scan().plan_files()
    path = f"{table.location()}/data/deletes.parquet"
    written = write_position_deletes(table.io, path, task.file, np.arange(0, 3_000_000, 3))
    assert written.file_size_in_bytes < 3_000_000
