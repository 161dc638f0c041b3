"""How data files that contain changed rows are changed: rewritten, or with rows deleted in place.

Only files that may contain such a row are read, and of them only the columns that decide it, unless
the file is rewritten.
"""

from __future__ import annotations

import functools
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
from floe_ingestion_defs.destinations.impl.iceberg.files.in_parallel import in_parallel
from floe_ingestion_defs.destinations.impl.iceberg.files.partitions import decode_partition
from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import (
    delete_files_of,
    positions_of_live_rows,
    read_deleted_positions,
    write_position_deletes,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import order_of_sorted_rows
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import write_staged

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask

    from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import RowChange
    from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
    from floe_ingestion_defs.destinations.impl.iceberg.intent import StagedFile


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


def change_rows(change: Change, state: TableState, rows: RowChange) -> None:
    """Add to a change what becomes of the data files that contain a row that changes."""
    moved: dict[Hashable, tuple[FileScanTask, pa.ChunkedArray]] = {}

    def changed_once(task: FileScanTask) -> tuple[Hashable, _FileChange | None]:
        deletes = frozenset(file.file_path for file in task.delete_files)
        key = (rows, task.file.file_path, deletes)
        return key, state.once(("changed", *key), functools.partial(_changed, state, task, rows))

    touched = (task for task in state.tasks if rows.may_touch(task.file, state.metadata))
    for task, (key, changed) in in_parallel(changed_once, touched):
        if changed is None:
            continue
        change.removed += changed.removed
        change.added += changed.added
        if changed.moved is not None:
            moved[key] = (task, changed.moved)
    if moved:
        change.added += state.once(
            ("moved", *moved), lambda: _write_moved(state, rows, moved.values())
        )


def _changed(state: TableState, task: FileScanTask, rows: RowChange) -> _FileChange | None:
    """Return what changes with a data file, None where none of its rows does."""
    batches = read_data_file(state.metadata, state.io, task, rows.columns)
    groups = in_groups(batches, rows)
    marked = pa.chunked_array([rows.marks(group) for group in groups], pa.bool_())
    count = pc.sum(marked).as_py() or 0
    if not count:
        return None
    removed = delete_files_of(task)
    if count == len(marked) and not rows.keeps_rows:
        return _FileChange([task.file, *removed], [])
    deleted = read_deleted_positions(state.io, task)
    if is_rewritten(state.metadata, task.file, len(deleted) + count):
        # Rows may be sorted by a column whose values change.
        sort_order_id = None if rows.keeps_rows else task.file.sort_order_id
        batches = _applied(state, task, rows, marked)
        return _FileChange(
            [task.file, *removed], _write_rewritten(state, task, batches, sort_order_id)
        )
    numbers = np.flatnonzero(marked.to_numpy())
    positions = np.sort(np.concatenate([deleted, positions_of_live_rows(numbers, deleted)]))
    path = data_path(state.metadata, "deletes")
    added = write_position_deletes(state.io, path, task.file, positions)
    return _FileChange(removed, [added], marked if rows.keeps_rows else None)


def _with_marks(
    state: TableState, task: FileScanTask, marked: pa.ChunkedArray
) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    start = 0
    for batch in read_data_file(state.metadata, state.io, task):
        yield batch, marked.slice(start, batch.num_rows).combine_chunks()
        start += batch.num_rows


def _applied(
    state: TableState, task: FileScanTask, rows: RowChange, marked: pa.ChunkedArray
) -> Iterator[pa.RecordBatch]:
    """Yield all rows of a data file as they are after the change."""
    for batch, mask in _with_marks(state, task, marked):
        yield rows.apply(batch, mask)


def _write_moved(
    state: TableState, rows: RowChange, moved: Iterable[tuple[FileScanTask, pa.ChunkedArray]]
) -> list[DataFile]:
    """Write the rows that were deleted in place, as they are after the change."""

    def applied() -> Iterator[pa.RecordBatch]:
        for task, marked in moved:
            for batch, mask in _with_marks(state, task, marked):
                changed = batch.filter(mask)
                yield rows.apply(changed, pa.repeat(pa.scalar(True), changed.num_rows))

    staged = write_staged(applied(), state.metadata, state.io, "rewritten")
    return [as_data_file(state, file) for file in staged]


def _write_rewritten(
    state: TableState,
    task: FileScanTask,
    batches: Iterator[pa.RecordBatch],
    sort_order_id: int | None,
) -> list[DataFile]:
    metadata = state.metadata
    if task.file.spec_id != metadata.default_spec_id:
        # The file was split by an earlier spec; its rows are split by the current one.
        staged = write_staged(batches, metadata, state.io, "rewritten")
        return [as_data_file(state, file) for file in staged]
    path = data_path(metadata, "rewritten")
    if not write_data_file(state.io, metadata, path, batches):
        return []
    partition = task.file.partition
    return [data_file_from_footer(metadata, state.io, path, partition, sort_order_id)]


def as_data_file(state: TableState, staged: StagedFile) -> DataFile:
    """Return the data file of rows that were split and sorted as the table specifies."""
    partition = decode_partition(state.metadata, staged.partition)
    sort_order_id = order_of_sorted_rows(state.metadata)
    return data_file_from_footer(state.metadata, state.io, staged.path, partition, sort_order_id)
