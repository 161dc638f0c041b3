"""How data files that contain changed rows are changed: rewritten, or with rows deleted in place.

Only files that may contain such a row are read, and of them only the columns that decide it, unless
the file is rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.changes.merge_mode import is_rewritten
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import in_groups
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    data_path,
    read_data_file,
    write_data_file,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.partitions import decode_partition
from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import (
    delete_files_of,
    positions_of_live_rows,
    read_deleted_positions,
    unneeded_deletes,
    write_position_deletes,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import order_of_sorted_rows
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import write_staged
from floe_ingestion_defs.destinations.impl.iceberg.parallel.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import RowChange
    from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
    from floe_ingestion_defs.destinations.impl.iceberg.intent import StagedFile


# A data file, and the mask of its rows that were deleted in place and stay in the table, changed.
_Moved = tuple["FileScanTask", pa.ChunkedArray]

# So many of them are written by one task.
_MOVED_ROWS = 1024 * 1024


@dataclass
class Change:
    """The files that one snapshot removes and adds, data files and delete files.

    Attributes:
        removed: The files that go.
        added: The files that come.
    """

    removed: list[DataFile] = field(default_factory=list)
    added: list[DataFile] = field(default_factory=list)


@dataclass(frozen=True)
class _FileChange:
    """What changes with one data file.

    Attributes:
        removed: The files that go.
        added: The files that come.
        moved: The rows that were deleted in place and stay in the table, changed, in another file.
    """

    removed: list[DataFile]
    added: list[DataFile]
    moved: pa.ChunkedArray | None = None


@dataclass(frozen=True)
class _Work:
    """What the work on all data files has in common; the driver sends it to a cluster once."""

    metadata: TableMetadata
    io: FileIO
    rows: RowChange


def change_rows(change: Change, state: TableState, rows: RowChange) -> None:
    """Add to a change what becomes of the data files that contain a row that changes."""
    moved: dict[Hashable, _Moved] = {}
    gone: set[str] = set()
    touched = (task for task in state.tasks if rows.may_touch(task.file, state.metadata))
    work = _Work(state.metadata, state.io, rows)
    for task, key, changed in state.once_per_file(("changed", rows), _changed, work, touched):
        if changed is None:
            continue
        change.removed += changed.removed
        change.added += changed.added
        gone.update(file.file_path for file in changed.removed)
        if changed.moved is not None:
            moved[key] = (task, changed.moved)
    change.removed += unneeded_deletes(state.tasks, gone)
    if moved:
        change.added += state.once(
            ("moved", *moved),
            lambda: [
                file
                for _, files in in_parallel(
                    _write_moved, work, _portions(moved.values()), state.executor
                )
                for file in files
            ],
        )


def _changed(work: _Work, task: FileScanTask) -> _FileChange | None:
    """Return what changes with a data file, None where none of its rows does."""
    metadata, io, rows = work.metadata, work.io, work.rows
    batches = read_data_file(metadata, io, task, rows.columns)
    groups = in_groups(batches, rows)
    marked = pa.chunked_array([rows.marks(group) for group in groups], pa.bool_())
    count = pc.sum(marked).as_py() or 0
    if not count:
        return None
    removed = delete_files_of(task)
    if count == len(marked) and not rows.keeps_rows:
        return _FileChange([task.file, *removed], [])
    deleted = read_deleted_positions(io, task)
    if is_rewritten(metadata, task.file, len(deleted) + count):
        # Rows may be sorted by a column whose values change.
        sort_order_id = None if rows.keeps_rows else task.file.sort_order_id
        batches = _applied(work, task, marked)
        return _FileChange(
            [task.file, *removed], _write_rewritten(work, task, batches, sort_order_id)
        )
    numbers = np.flatnonzero(marked.to_numpy())
    # A delete file of several data files stays, and deletes its rows.
    is_shared = len(removed) < len(task.delete_files)
    own = read_deleted_positions(io, task, removed) if is_shared else deleted
    positions = np.sort(np.concatenate([own, positions_of_live_rows(numbers, deleted)]))
    path = data_path(metadata, "deletes")
    added = write_position_deletes(io, path, task.file, positions)
    return _FileChange(removed, [added], marked if rows.keeps_rows else None)


def _with_marks(
    work: _Work, task: FileScanTask, marked: pa.ChunkedArray
) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    start = 0
    for batch in read_data_file(work.metadata, work.io, task):
        yield batch, marked.slice(start, batch.num_rows).combine_chunks()
        start += batch.num_rows


def _applied(work: _Work, task: FileScanTask, marked: pa.ChunkedArray) -> Iterator[pa.RecordBatch]:
    """Yield all rows of a data file as they are after the change."""
    for batch, mask in _with_marks(work, task, marked):
        yield work.rows.apply(batch, mask)


def _portions(moved: Iterable[_Moved]) -> Iterator[list[_Moved]]:
    """Yield the rows of several data files for each new file: a file alone may have few of them."""
    portion: list[_Moved] = []
    rows = 0
    for task, marked in moved:
        portion.append((task, marked))
        rows += pc.sum(marked).as_py()
        if rows >= _MOVED_ROWS:
            yield portion
            portion, rows = [], 0
    if portion:
        yield portion


def _write_moved(work: _Work, moved: Sequence[_Moved]) -> list[DataFile]:
    """Write the rows that were deleted in place, as they are after the change."""

    def applied() -> Iterator[pa.RecordBatch]:
        for task, marked in moved:
            for batch, mask in _with_marks(work, task, marked):
                changed = batch.filter(mask)
                yield work.rows.apply(changed, pa.repeat(pa.scalar(True), changed.num_rows))

    staged = write_staged(applied(), work.metadata, work.io, "rewritten")
    return [as_data_file(work.metadata, work.io, file) for file in staged]


def _write_rewritten(
    work: _Work,
    task: FileScanTask,
    batches: Iterator[pa.RecordBatch],
    sort_order_id: int | None,
) -> list[DataFile]:
    metadata, io = work.metadata, work.io
    is_of_earlier_spec = task.file.spec_id != metadata.default_spec_id
    if is_of_earlier_spec or (work.rows.keeps_rows and not metadata.spec().is_unpartitioned()):
        # The rows are split by the current spec, and a changed value can move a row, such as the
        # end of validity in a table that is partitioned by it.
        staged = write_staged(batches, metadata, io, "rewritten")
        return [as_data_file(metadata, io, file) for file in staged]
    path = data_path(metadata, "rewritten")
    if not write_data_file(io, metadata, path, batches):
        return []
    partition = task.file.partition
    return [data_file_from_footer(metadata, io, path, partition, sort_order_id)]


def as_data_file(metadata: TableMetadata, io: FileIO, staged: StagedFile) -> DataFile:
    """Return the data file of rows that were split and sorted as the table specifies."""
    partition = decode_partition(metadata, staged.partition)
    return data_file_from_footer(
        metadata, io, staged.path, partition, order_of_sorted_rows(metadata)
    )
