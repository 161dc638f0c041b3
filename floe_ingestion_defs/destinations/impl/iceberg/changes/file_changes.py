"""How data files that contain changed rows are changed: rewritten, or with rows deleted in place.

Only files that may contain such a row are read, and of them only the columns that decide it, unless
the file is rewritten. Small files that are rewritten become one, so that a table whose loads change
rows everywhere does not get a file more with each.
"""

from __future__ import annotations

from collections import defaultdict
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
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import (
    is_sorted,
    order_of_sorted_rows,
)
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


# Files smaller than this are rewritten together. Larger ones stay apart, as the bounds of their
# columns may exclude them from later reads, and are rewritten in parallel.
COMBINED_BYTES = 8 * 1024 * 1024
# One task writes as many rows of several files.
_COMBINED_ROWS = 1024 * 1024


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
class _Moved:
    """Rows that move from a data file to a new one, together with those of others.

    Attributes:
        task: The data file.
        marked: The mask of its rows that change.
        is_whole: Whether the file is removed, and its other rows move as well.
    """

    task: FileScanTask
    marked: pa.ChunkedArray
    is_whole: bool

    @property
    def share(self) -> float:
        """The share of the rows, or of the bytes, that one task writes; the greater of both."""
        if not self.is_whole:
            changed: int = pc.sum(self.marked).as_py()
            return changed / _COMBINED_ROWS
        size = self.task.file.file_size_in_bytes
        return max(len(self.marked) / _COMBINED_ROWS, size / COMBINED_BYTES)

    @property
    def group(self) -> Hashable:
        """What files have in common that are rewritten together: their partition."""
        file = self.task.file
        return (file.spec_id, repr(file.partition)) if self.is_whole else None


@dataclass(frozen=True)
class _FileChange:
    """What changes with one data file.

    Attributes:
        removed: The files that go.
        added: The files that come.
        moved: The rows that stay in the table in a file that others share.
    """

    removed: list[DataFile]
    added: list[DataFile]
    moved: _Moved | None = None


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
    for _, key, changed in state.once_per_file(("changed", rows), _changed, work, touched):
        if changed is None:
            continue
        change.removed += changed.removed
        change.added += changed.added
        gone.update(file.file_path for file in changed.removed)
        if changed.moved is not None:
            moved[key] = changed.moved
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
        rewritten = _Moved(task, marked, is_whole=True)
        if task.file.file_size_in_bytes < COMBINED_BYTES:
            return _FileChange([task.file, *removed], [], rewritten)
        return _FileChange([task.file, *removed], _write_moved(work, [rewritten]))
    numbers = np.flatnonzero(marked.to_numpy())
    # A delete file of several data files stays, and deletes its rows.
    is_shared = len(removed) < len(task.delete_files)
    own = read_deleted_positions(io, task, removed) if is_shared else deleted
    positions = np.sort(np.concatenate([own, positions_of_live_rows(numbers, deleted)]))
    path = data_path(metadata, "deletes")
    added = write_position_deletes(io, path, task.file, positions)
    moved = _Moved(task, marked, is_whole=False) if rows.keeps_rows else None
    return _FileChange(removed, [added], moved)


def _portions(moved: Iterable[_Moved]) -> Iterator[list[_Moved]]:
    """Yield the rows of several data files that one task writes: a file alone may have few."""
    portions: dict[Hashable, list[_Moved]] = defaultdict(list)
    shares: dict[Hashable, float] = defaultdict(float)
    for each in moved:
        group = each.group
        portions[group].append(each)
        shares[group] += each.share
        if shares[group] >= 1:
            del shares[group]
            yield portions.pop(group)
    yield from portions.values()


def _write_moved(work: _Work, portion: Sequence[_Moved]) -> list[DataFile]:
    """Write the rows that move from some data files, as they are after the change."""
    metadata, io, first = work.metadata, work.io, portion[0]
    batches = (batch for moved in portion for batch in _applied(work, moved))
    is_of_earlier_spec = first.task.file.spec_id != metadata.default_spec_id
    may_leave_partition = work.rows.keeps_rows and not metadata.spec().is_unpartitioned()
    is_several = len(portion) > 1
    if (
        not first.is_whole
        or is_of_earlier_spec
        or may_leave_partition
        or (is_several and is_sorted(metadata))
    ):
        return _write_split(work, batches)
    path = data_path(metadata, "rewritten")
    if not write_data_file(io, metadata, path, batches):
        return []
    # Rows may be sorted by a column whose values change.
    keeps_order = not (is_several or work.rows.keeps_rows)
    sort_order_id = first.task.file.sort_order_id if keeps_order else None
    partition = first.task.file.partition
    return [data_file_from_footer(metadata, io, path, partition, sort_order_id)]


def _write_split(work: _Work, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
    """Write rows split by the current spec and sorted.

    A changed value can move a row, such as the end of validity in a table partitioned by it.
    """
    staged = write_staged(batches, work.metadata, work.io, "rewritten")
    return [as_data_file(work.metadata, work.io, file) for file in staged]


def _applied(work: _Work, moved: _Moved) -> Iterator[pa.RecordBatch]:
    """Yield the rows that move, as they are after the change."""
    start = 0
    for batch in read_data_file(work.metadata, work.io, moved.task):
        mask = moved.marked.slice(start, batch.num_rows).combine_chunks()
        start += batch.num_rows
        if moved.is_whole:
            yield work.rows.apply(batch, mask)
        else:
            changed = batch.filter(mask)
            yield work.rows.apply(changed, pa.repeat(pa.scalar(True), changed.num_rows))


def as_data_file(metadata: TableMetadata, io: FileIO, staged: StagedFile) -> DataFile:
    """Return the data file of rows that were split and sorted as the table specifies."""
    partition = decode_partition(metadata, staged.partition)
    return data_file_from_footer(
        metadata, io, staged.path, partition, order_of_sorted_rows(metadata)
    )
