"""Rewriting a group of data files: the work of a compaction, which any process can do.

It needs no catalog: a table's metadata, its FileIO and the files' paths go in, data files come out,
and nothing refers to those before the compaction commits them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.errors import RowsLost
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    data_path,
    read_data_file,
    write_data_file,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.partitions import decode_partition
from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import (
    read_deleted_positions,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import (
    is_sorted,
    order_of_sorted_rows,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import write_staged
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.z_order import z_ordered
from floe_ingestion_defs.destinations.impl.iceberg.parallel.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.plan import FileGroup

_ORIGIN = "compacted"

# Files up to this size are read whole, several at once, since opening one takes longer than
# decoding it.
_SMALL_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class TableWork:
    """What all groups of a compaction have in common.

    Attributes:
        metadata: The table's metadata.
        io: Its FileIO.
        z_order: The columns by which rows are put in z-order, none to keep their order.
    """

    metadata: TableMetadata
    io: FileIO
    z_order: tuple[str, ...] = ()


def rewrite_group(work: TableWork, group: FileGroup) -> list[DataFile]:
    """Write the rows of a group of files to new data files, without the deleted ones.

    The rows keep their order, unless the table or the compaction specifies one. Memory holds the
    batches of one row group, or the rows of one sorted file or of one range of the z-order.

    Raises:
        RowsLost: The new files do not have as many rows as the old ones.
    """
    added = [file for rows in _rows_of_files(work, group) for file in _write(work, group, rows)]
    deleted = sum(
        len(read_deleted_positions(work.io, task)) for task in group.tasks if task.delete_files
    )
    written = sum(file.record_count for file in added)
    if written != group.rows - deleted:
        raise RowsLost(group.rows, deleted, written)
    return added


def _rows_of_files(work: TableWork, group: FileGroup) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield the rows of a group, for one file after the other."""
    if work.z_order:
        read = partial(_read, work, group.tasks)
        yield from z_ordered(read, work.z_order, group.rows, group.files)
    else:
        yield _read(work, group.tasks)


def _write(work: TableWork, group: FileGroup, rows: Iterator[pa.RecordBatch]) -> list[DataFile]:
    metadata, io, old = work.metadata, work.io, group.tasks[0].file
    if is_sorted(metadata) or old.spec_id != metadata.default_spec_id:
        return _write_split(work, rows)
    path = data_path(metadata, _ORIGIN)
    if not write_data_file(io, metadata, path, rows):
        return []
    return [data_file_from_footer(metadata, io, path, old.partition)]


def _write_split(work: TableWork, rows: Iterator[pa.RecordBatch]) -> list[DataFile]:
    """Write rows split by the table's current partition spec, and in its order."""
    metadata, io = work.metadata, work.io
    order = order_of_sorted_rows(metadata)
    return [
        data_file_from_footer(
            metadata, io, staged.path, decode_partition(metadata, staged.partition), order
        )
        for staged in write_staged(rows, metadata, io, _ORIGIN)
    ]


def _read(
    work: TableWork, tasks: Sequence[FileScanTask], columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of files, in the order of the files, with the given columns or all."""

    def is_small(task: FileScanTask) -> bool:
        return task.file.file_size_in_bytes <= _SMALL_BYTES

    for are_small, found in groupby(tasks, is_small):
        if are_small:
            for _, batches in in_parallel(partial(_read_whole, columns), work, found):
                yield from batches
        else:
            for task in found:
                yield from read_data_file(work.metadata, work.io, task, columns)


def _read_whole(
    columns: Sequence[str] | None, work: TableWork, task: FileScanTask
) -> list[pa.RecordBatch]:
    return list(read_data_file(work.metadata, work.io, task, columns))
