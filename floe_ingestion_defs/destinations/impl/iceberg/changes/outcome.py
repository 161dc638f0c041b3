"""What a load will do to the rows of a table, computed from its staged rows before its commit.

For audits of the whole table and not only of the staged rows. It is computed against the head that
the load was staged on; a writer that commits in between can change it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.changes.change import excluding, window_deletion
from floe_ingestion_defs.destinations.impl.iceberg.changes.incoming import Incoming, read_incoming
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import (
    RowChange,
    active_versions,
    matching_rows,
    present_keys,
    superseded,
)
from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
from floe_ingestion_defs.destinations.impl.iceberg.changes.unchanged import unchanged_keys
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import read_staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.table import FileScanTask

    from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet
    from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable


@dataclass(frozen=True)
class Outcome:
    """What publishing a staged table does to its rows; nothing is read before it is requested.

    Memory holds what publishing itself holds: for a merge the incoming keys, otherwise a batch.

    Attributes:
        staged: The staged table; not a nested one, whose rows follow those of its root.
    """

    staged: StagedTable

    @cached_property
    def state(self) -> TableState:
        """The table before the load; empty where the load creates or empties it."""
        staged = self.staged
        is_empty = staged.current is None or staged.intent.starts_empty
        return TableState(staged.metadata, staged.io, is_empty)

    @property
    def may_shrink(self) -> bool:
        """Whether the table can have fewer rows afterwards; computed without reading a row."""
        intent = self.staged.intent
        return (
            intent.starts_empty
            or intent.window is not None
            or intent.keys.hard_delete is not None
            or intent.strategy == "cdc"
            or intent.keys.scope is not None
            or (intent.strategy == "delete-insert" and bool(intent.keys.merge_key))
        )

    @cached_property
    def rows_after(self) -> int:
        """The number of rows that the table will have."""
        came = self.staged.rows
        if self._incoming is not None:
            came = pc.sum(self._incoming.kept).as_py() or 0
        before = 0 if self.state.is_empty else self.staged.current_rows
        return before - self._rows_gone() + came

    def added_rows(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows that will be added to the table."""
        staged = self.staged
        if self._incoming is None:
            yield from staged.batches(columns)
            return
        masks, file, start = self._incoming.keep_masks(), -1, 0
        for number, batch in read_staged(staged.io, staged.intent.files, staged.schema, columns):
            start = start if number == file else 0
            file, mask = number, masks[number]
            yield batch if mask is None else batch.filter(mask.slice(start, batch.num_rows))
            start += batch.num_rows

    def remaining_rows(
        self, columns: Sequence[str], tasks: Iterable[FileScanTask] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows that are in the table and will remain.

        Args:
            columns: The columns.
            tasks: The table's data files to read; all of them by default.
        """
        removal, state = self._removal, self.state
        names = list(dict.fromkeys([*columns, *(removal.columns if removal else ())]))
        for task in state.tasks if tasks is None else tasks:
            touched = removal is not None and removal.may_touch(task.file, state.metadata)
            for batch in read_data_file(state.metadata, state.io, task, names):
                if touched and removal is not None:
                    batch = batch.filter(pc.invert(removal.marks(batch)))
                yield batch.select(list(columns))

    @cached_property
    def _incoming(self) -> Incoming | None:
        """The incoming rows of a merge, and which of them will be added; None without a merge."""
        intent, state = self.staged.intent, self.state
        if intent.disposition != "merge":
            return None
        if intent.validity is not None:
            version = [intent.validity.row_version]
            incoming = read_incoming(state, intent, version)
            present = active_versions(state, intent.validity, incoming.kept_set(version))
        elif intent.strategy == "insert-only":
            incoming = read_incoming(state, intent)
            present = present_keys(state, incoming.key_set(intent.keys.primary_key))
        else:
            return excluding(read_incoming(state, intent), self._unchanged)
        return excluding(incoming, present)

    @cached_property
    def _unchanged(self) -> KeySet | None:
        intent, state = self.staged.intent, self.state
        incoming = read_incoming(state, intent)
        return unchanged_keys(state, intent, incoming, intent.keys.primary_key)

    @cached_property
    def _removal(self) -> RowChange | None:
        """The rows of the table that are removed."""
        intent = self.staged.intent
        if not self.state.tasks:
            return None
        if intent.window is not None:
            return window_deletion(self.state.metadata, intent.window)
        if self._incoming is None or intent.strategy == "insert-only" or intent.validity:
            return None
        deletion = superseded(self._incoming, intent)
        return replace(deletion, spared=self._unchanged) if deletion else None

    def _rows_gone(self) -> int:
        removal = self._removal
        if removal is None:
            return 0
        gone = matching_rows(self.state, removal, removal.columns[:1])
        return sum(batch.num_rows for batch in gone)
