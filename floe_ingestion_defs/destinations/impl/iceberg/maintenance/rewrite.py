"""Rewriting a group of data files: the work of a compaction, which any process can do.

It needs no catalog: a table's metadata, its FileIO and the files' paths go in, data files come out,
and nothing refers to those before the compaction commits them.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    metadata: TableMetadata
    io: FileIO


def rewrite_group(work: TableWork, group: FileGroup) -> list[DataFile]:
    """Write the rows of a group of files to new data files, without the deleted ones.

    The rows keep their order, unless the table specifies one. Memory holds the batches of one row
    group, or the rows of one sorted file.

    Raises:
        RowsLost: The new files do not have as many rows as the old ones.
    """
    metadata = work.metadata
    if is_sorted(metadata) or group.tasks[0].file.spec_id != metadata.default_spec_id:
        added = _write_split(work, group)
    else:
        added = _write_one(work, group)
    deleted = sum(
        len(read_deleted_positions(work.io, task)) for task in group.tasks if task.delete_files
    )
    written = sum(file.record_count for file in added)
    if written != group.rows - deleted:
        raise RowsLost(group.rows, deleted, written)
    return added


def _write_one(work: TableWork, group: FileGroup) -> list[DataFile]:
    metadata, io = work.metadata, work.io
    path = data_path(metadata, _ORIGIN)
    if not write_data_file(io, metadata, path, _read(work, group.tasks)):
        return []
    return [data_file_from_footer(metadata, io, path, group.tasks[0].file.partition)]


def _write_split(work: TableWork, group: FileGroup) -> list[DataFile]:
    """Write the rows split by the table's current partition spec, and in its order."""
    metadata, io = work.metadata, work.io
    order = order_of_sorted_rows(metadata)
    return [
        data_file_from_footer(
            metadata, io, staged.path, decode_partition(metadata, staged.partition), order
        )
        for staged in write_staged(_read(work, group.tasks), metadata, io, _ORIGIN)
    ]


def _read(work: TableWork, tasks: Sequence[FileScanTask]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of files, in the order of the files."""

    def is_small(task: FileScanTask) -> bool:
        return task.file.file_size_in_bytes <= _SMALL_BYTES

    for are_small, found in groupby(tasks, is_small):
        if are_small:
            for _, batches in in_parallel(_read_whole, work, found):
                yield from batches
        else:
            for task in found:
                yield from read_data_file(work.metadata, work.io, task)


def _read_whole(work: TableWork, task: FileScanTask) -> list[pa.RecordBatch]:
    return list(read_data_file(work.metadata, work.io, task))
