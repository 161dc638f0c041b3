"""Position-delete files: rows of one data file that are deleted without rewriting it.

Every delete file written here names the positions of one data file, is sorted, and has that file's
path as both bounds of `file_path`, so that readers find it by the data file and read no other one.
A data file has at most one of them: a snapshot that deletes further rows of it adds one file with
all positions and removes the earlier one, and a snapshot that removes the data file removes both.

Version 2 of the format has these files, and pyiceberg 0.12 reads them but does not write them
(iceberg-python issue 1078). `catalog.pyiceberg_internals.Overwrite` commits them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import FileScanTask
from pyiceberg.types import LongType, StringType

from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import (
    read_delete_files,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    import numpy.typing as npt
    from pyiceberg.io import FileIO

    # Positions of rows in a data file, from 0, ascending and unique.
    Positions: TypeAlias = npt.NDArray[np.int64]

# The ids that Iceberg's specification reserves for these columns.
FILE_PATH_ID = 2147483546
POSITION_ID = 2147483545


def _field(name: str, type_: pa.DataType, field_id: int) -> pa.Field:
    return pa.field(name, type_, nullable=False, metadata={"PARQUET:field_id": str(field_id)})


_SCHEMA = pa.schema(
    [
        _field("file_path", pa.string(), FILE_PATH_ID),
        _field("pos", pa.int64(), POSITION_ID),
    ]
)


def read_deleted_positions(
    io: FileIO, task: FileScanTask, files: Iterable[DataFile] | None = None
) -> Positions:
    """Return the positions of a data file's rows that its delete files delete.

    Args:
        io: The table's FileIO.
        task: The data file with its delete files: position deletes, or deletion vectors.
        files: Some of its delete files; all by default.
    """
    chosen = task if files is None else FileScanTask(task.file, delete_files=set(files))
    found = read_delete_files(io, chosen)
    if not found:
        return np.empty(0, np.int64)
    return np.unique(np.concatenate([column.to_numpy() for column in found]).astype(np.int64))


def delete_files_of(task: FileScanTask) -> list[DataFile]:
    """Return the delete files that name rows of this data file only, and so go with it."""
    path = _bound(task.file.file_path)
    return [
        file
        for file in task.delete_files
        if (file.lower_bounds or {}).get(FILE_PATH_ID) == path
        and (file.upper_bounds or {}).get(FILE_PATH_ID) == path
    ]


def unneeded_deletes(tasks: Iterable[FileScanTask], gone: Container[str]) -> set[DataFile]:
    """Return the delete files of removed data files that no remaining one needs.

    A delete file of another engine may name several data files. It goes with the last of them.

    Args:
        tasks: All data files of a table with their delete files.
        gone: The paths of those that are removed.
    """
    needed: set[DataFile] = set()
    dangling: set[DataFile] = set()
    for task in tasks:
        (dangling if task.file.file_path in gone else needed).update(task.delete_files)
    return dangling - needed


def write_position_deletes(
    io: FileIO, path: str, data_file: DataFile, positions: Positions
) -> DataFile:
    """Write the delete file of a data file, in a table of format version 2.

    Args:
        io: The table's FileIO.
        path: The location of the delete file.
        data_file: The data file.
        positions: The positions of all of its rows that are deleted; at least one.

    Returns:
        The delete file, to be added in the snapshot that deletes the rows.
    """
    paths = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(len(positions), np.int32)), pa.array([data_file.file_path])
    )
    rows = pa.table([paths.cast(pa.string()), positions], schema=_SCHEMA)
    content = pa.BufferOutputStream()
    pq.write_table(rows, content, compression="zstd", use_dictionary=["file_path"])
    buffer = content.getvalue()
    with io.new_output(path).create(overwrite=True) as sink:
        sink.write(buffer)
    file_path = _bound(data_file.file_path)
    deletes = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=data_file.partition,
        record_count=len(positions),
        file_size_in_bytes=buffer.size,
        value_counts=dict.fromkeys((FILE_PATH_ID, POSITION_ID), len(positions)),
        null_value_counts=dict.fromkeys((FILE_PATH_ID, POSITION_ID), 0),
        lower_bounds={FILE_PATH_ID: file_path, POSITION_ID: _position(positions[0])},
        upper_bounds={FILE_PATH_ID: file_path, POSITION_ID: _position(positions[-1])},
    )
    deletes.spec_id = data_file.spec_id
    return deletes


def positions_of_live_rows(rows: Iterable[int], deleted: Positions) -> Positions:
    """Return the positions in a data file of rows that are numbered without its deleted ones.

    Args:
        rows: Numbers of rows, ascending.
        deleted: The positions that are deleted already.
    """
    numbers = np.asarray(rows, np.int64)
    # How many rows that are not deleted are before each deleted one.
    live_before = deleted - np.arange(len(deleted))
    return numbers + np.searchsorted(live_before, numbers, side="right")


def _bound(path: str) -> bytes:
    return to_bytes(StringType(), path)


def _position(position: np.int64) -> bytes:
    return to_bytes(LongType(), int(position))
