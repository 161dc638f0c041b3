"""Row changes: which rows of a table are deleted or retired, found file by file.

Memory holds the keys and the batches of one data file; only files that, by their statistics, may
contain a key are read at all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.changes.condition import RowCondition
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet, bounds_of
from floe_ingestion_defs.destinations.impl.iceberg.changes.spill import gathered, grouped
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    arrow_schema,
    read_data_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.changes.incoming import Incoming
    from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import Mask
    from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent, Validity


class RowChange(Protocol):
    """A change to some rows of a table, file by file."""

    @property
    def columns(self) -> list[str]:
        """The columns that decide which rows change."""

    @property
    def keeps_rows(self) -> bool:
        """Whether the rows that change stay in the table, with other values."""

    @property
    def hashed_keys(self) -> int:
        """How many keys Arrow may hash again for each batch."""

    def may_touch(self, file: DataFile, metadata: TableMetadata) -> bool:
        """Return whether, by its statistics, the file may contain a row that changes."""

    def marks(self, batch: pa.RecordBatch) -> Mask:
        """Return the mask of the batch's rows that change."""

    def apply(self, batch: pa.RecordBatch, marked: Mask) -> pa.RecordBatch:
        """Return the changed batch."""


@dataclass(frozen=True)
class Deletion:
    """The deletion of the rows that are in any of the sets.

    Attributes:
        sets: The sets.
        remaining: If given, rows whose key is not in this set are deleted too.
        spared: If given, rows whose key is in this set are not deleted in any case.
    """

    sets: tuple[KeySet | RowCondition, ...]
    remaining: KeySet | None = None
    spared: KeySet | None = None
    keeps_rows: ClassVar[bool] = False

    @property
    def columns(self) -> list[str]:
        """The columns that decide which rows change."""
        return list(dict.fromkeys(name for keys in self._all_sets for name in keys.columns))

    @property
    def hashed_keys(self) -> int:
        """How many keys Arrow may hash again for each batch."""
        return _hashed_keys(self._all_sets)

    @property
    def _all_sets(self) -> tuple[KeySet | RowCondition, ...]:
        further = (keys for keys in (self.remaining, self.spared) if keys is not None)
        return (*self.sets, *further)

    def may_touch(self, file: DataFile, metadata: TableMetadata) -> bool:
        """Return whether, by its statistics, the file may contain a row that changes."""
        if self.remaining is not None:
            return True
        return any(keys.may_be_in(file, metadata) for keys in self.sets)

    def marks(self, batch: pa.RecordBatch) -> Mask:
        """Return the mask of the batch's rows that change."""
        masks = [keys.contains(batch) for keys in self.sets]
        if self.remaining is not None:
            masks.append(pc.invert(self.remaining.contains(batch)))
        gone = functools.reduce(pc.or_, masks)
        return gone if self.spared is None else pc.and_not(gone, self.spared.contains(batch))

    def apply(self, batch: pa.RecordBatch, marked: Mask) -> pa.RecordBatch:
        """Return the batch without the marked rows."""
        return batch.filter(pc.invert(marked))


@dataclass(frozen=True)
class WindowDeletion:
    """The deletion of the rows with `lower <= column < upper`."""

    column: str
    lower: pa.Scalar
    upper: pa.Scalar
    keeps_rows: ClassVar[bool] = False
    hashed_keys: ClassVar[int] = 0

    @property
    def columns(self) -> list[str]:
        """The columns that decide which rows change."""
        return [self.column]

    def may_touch(self, file: DataFile, metadata: TableMetadata) -> bool:
        """Return whether, by its statistics, the file may contain a row that changes."""
        bounds = bounds_of(file, metadata, self.column, self.lower.type)
        if bounds is None:
            return True
        least, most = bounds
        return bool(
            pc.less(least, self.upper).as_py() and pc.greater_equal(most, self.lower).as_py()
        )

    def marks(self, batch: pa.RecordBatch) -> Mask:
        """Return the mask of the batch's rows that change."""
        column = batch.column(self.column)
        within = pc.and_(pc.greater_equal(column, self.lower), pc.less(column, self.upper))
        return pc.fill_null(within, fill_value=False)

    def apply(self, batch: pa.RecordBatch, marked: Mask) -> pa.RecordBatch:
        """Return the batch without the marked rows."""
        return batch.filter(pc.invert(marked))


@dataclass(frozen=True)
class Retirement:
    """The end of validity of a slowly changing dimension's active rows that a load does not have.

    With a merge key, only of those whose merge key the load has; with a scope, only of those in it.
    """

    validity: Validity
    versions: KeySet
    merge_keys: KeySet | RowCondition | None
    keeps_rows: ClassVar[bool] = True

    @property
    def columns(self) -> list[str]:
        """The columns that decide which rows change."""
        merge_key = self.merge_keys.columns if self.merge_keys else []
        columns = [self.validity.valid_to, *self.versions.columns, *merge_key]
        return list(dict.fromkeys(columns))

    @property
    def hashed_keys(self) -> int:
        """How many keys Arrow may hash again for each batch."""
        return _hashed_keys((self.versions, self.merge_keys))

    def may_touch(self, file: DataFile, metadata: TableMetadata) -> bool:
        """Return whether, by its statistics, the file may contain a row that changes."""
        if self.validity.active is not None:
            return True
        valid_to = metadata.schema().find_field(self.validity.valid_to).field_id
        return (file.null_value_counts or {}).get(valid_to) != 0

    def marks(self, batch: pa.RecordBatch) -> Mask:
        """Return the mask of the batch's rows that change."""
        gone = pc.and_(is_active(batch, self.validity), pc.invert(self.versions.contains(batch)))
        return gone if self.merge_keys is None else pc.and_(gone, self.merge_keys.contains(batch))

    def apply(self, batch: pa.RecordBatch, marked: Mask) -> pa.RecordBatch:
        """Return the batch in which the marked rows are valid until the boundary."""
        index = batch.schema.get_field_index(self.validity.valid_to)
        column = batch.column(index)
        boundary = pa.scalar(self.validity.boundary, column.type)
        return batch.set_column(
            index, batch.schema.field(index), pc.if_else(marked, boundary, column)
        )


def is_active(batch: pa.RecordBatch, validity: Validity) -> Mask:
    """Return the mask of the currently valid rows."""
    valid_to = batch.column(validity.valid_to)
    if validity.active is None:
        return pc.is_null(valid_to)
    return pc.fill_null(
        pc.equal(valid_to, pa.scalar(validity.active, valid_to.type)), fill_value=False
    )


def superseded(incoming: Incoming, intent: TableIntent) -> Deletion | None:
    """Return the deletion of the rows with the same primary or merge key as incoming ones.

    With strategy `cdc`, rows that are absent from the load are deleted too: those whose merge key
    it has, or all of them without a merge key. As in dlt's SQL destinations, a scope takes the
    place of the merge key, and with strategy `delete-insert` nothing else is deleted.
    """
    keys, scope = intent.keys, scope_of(intent)
    if scope is not None and intent.strategy in ("delete-insert", "cdc"):
        by_key = [incoming.key_set(keys.primary_key)] if intent.strategy == "cdc" else []
        return Deletion((*by_key, scope))
    merge_key = keys.merge_key if intent.strategy in ("delete-insert", "cdc") else ()
    if intent.strategy == "cdc" and not merge_key:
        nothing = incoming.keys.select(list(keys.primary_key)).slice(0, 0)
        return Deletion((), remaining=KeySet(nothing))
    sets = tuple(incoming.key_set(key) for key in (keys.primary_key, merge_key) if key)
    return Deletion(sets) if sets else None


def scope_of(intent: TableIntent) -> RowCondition | None:
    """Return the rows that a merge can delete or retire, None without such a hint."""
    scope = intent.keys.scope
    return None if scope is None else RowCondition(scope.condition, scope.columns)


def _hashed_keys(sets: Iterable[KeySet | RowCondition | None]) -> int:
    return sum(keys.hashed for keys in sets if isinstance(keys, KeySet))


def in_groups(batches: Iterable[pa.RecordBatch], change: RowChange) -> Iterator[pa.RecordBatch]:
    """Combine batches of key columns, since Arrow hashes the keys of a change once for each."""
    return grouped(batches, change.hashed_keys)


def matching_rows(
    state: TableState,
    change: RowChange,
    columns: Sequence[str],
    tasks: Iterable[FileScanTask] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield `columns` of the rows that a change marks, of all data files unless some are given."""
    for task in state.tasks if tasks is None else tasks:
        if change.may_touch(task.file, state.metadata):
            yield from _matching_rows(state.metadata, state.io, task, change, columns)


def _matching_rows(
    metadata: TableMetadata,
    io: FileIO,
    task: FileScanTask,
    change: RowChange,
    columns: Sequence[str],
) -> Iterator[pa.RecordBatch]:
    names = list(dict.fromkeys([*change.columns, *columns]))
    for batch in in_groups(read_data_file(metadata, io, task, names), change):
        yield batch.filter(change.marks(batch)).select(list(columns))


def key_set_of(
    metadata: TableMetadata, batches: Iterable[pa.RecordBatch], columns: Sequence[str]
) -> KeySet:
    """Return the set of the keys in a stream of key columns."""
    schema = arrow_schema(metadata)
    key_schema = pa.schema([schema.field(name) for name in columns])
    return KeySet(gathered(batches, key_schema))


@dataclass(frozen=True)
class _KeySearch:
    """What the search for keys in all data files has in common."""

    metadata: TableMetadata
    io: FileIO
    change: RowChange
    columns: tuple[str, ...]
    active: Validity | None

    def find_in(self, task: FileScanTask) -> pa.Table:
        """Return the keys of a data file's rows that the change marks."""
        active = self.active
        names = [*self.columns, *([active.valid_to] if active else [])]
        batches = _matching_rows(self.metadata, self.io, task, self.change, names)
        valid = (b.filter(is_active(b, active)) if active else b for b in batches)
        selected = (batch.select(self.columns) for batch in valid)
        return key_set_of(self.metadata, selected, self.columns).rows


def matching_keys(
    state: TableState,
    change: RowChange,
    columns: Sequence[str],
    *,
    active: Validity | None = None,
) -> KeySet:
    """Return the keys of the table's rows that a change marks; each data file is read once.

    Args:
        state: The table.
        change: The change.
        columns: The columns of the keys.
        active: If given, only of the rows that are currently valid.
    """
    search = _KeySearch(state.metadata, state.io, change, tuple(columns), active)
    touched = (task for task in state.tasks if change.may_touch(task.file, state.metadata))
    key = ("keys", change, search.columns, active)
    found = state.once_per_file(key, _KeySearch.find_in, search, touched)
    batches = (batch for _, _, keys in found for batch in keys.to_batches())
    return key_set_of(state.metadata, batches, columns)


def present_keys(state: TableState, keys: KeySet) -> KeySet:
    """Return those of the keys that the table contains already."""
    return matching_keys(state, Deletion((keys,)), keys.columns)


def active_versions(state: TableState, validity: Validity, versions: KeySet) -> KeySet:
    """Return those of the row versions that the table contains as active rows."""
    return matching_keys(state, Deletion((versions,)), [validity.row_version], active=validity)
