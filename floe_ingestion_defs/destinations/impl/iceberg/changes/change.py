"""What publishing an intent changes in a table: files removed and files added.

All of it is computed against one head, and becomes one snapshot.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.changes.file_changes import (
    Change,
    as_data_file,
    change_rows,
)
from floe_ingestion_defs.destinations.impl.iceberg.changes.incoming import Incoming, read_incoming
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet, Mask
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import (
    Deletion,
    Retirement,
    WindowDeletion,
    active_versions,
    key_set_of,
    matching_keys,
    present_keys,
    scope_of,
    superseded,
)
from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
from floe_ingestion_defs.destinations.impl.iceberg.changes.unchanged import unchanged_keys
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    arrow_schema,
    read_data_file,
    register,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import (
    default_sort_order,
    order_of_sorted_rows,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import (
    read_staged,
    write_staged,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import Keys
from floe_ingestion_defs.destinations.impl.iceberg.window import parse_bound

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.intent import (
        Nesting,
        StagedFile,
        TableIntent,
        Validity,
        Window,
    )

ReadTable = Callable[[str], tuple[TableState, "TableIntent"]]


def compute_change(state: TableState, intent: TableIntent, read_table: ReadTable) -> Change:
    """Return what publishing the intent changes.

    Args:
        state: The table at the head that the change will be committed on.
        intent: What the load does to the table.
        read_table: Reads a table above a nested one, as it is before this load, and its intent.
    """
    change = Change()
    if intent.starts_empty:
        change.removed = list(state.files)
        state = replace(state, is_empty=True, was_rolled_back=False)
    if intent.nesting and intent.nesting.parent:
        change_rows(change, state, _without_parent(intent.nesting, read_table))
        _add(change, state, intent)
    elif intent.nesting and intent.disposition in ("merge", "overwrite"):
        _merge_nested(change, state, intent, intent.nesting, read_table)
    elif intent.disposition == "merge" and intent.strategy == "scd2":
        _merge_versions(change, state, intent)
    elif intent.disposition == "merge":
        _merge_rows(change, state, intent)
    else:
        if intent.window:
            change_rows(change, state, window_deletion(state.metadata, intent.window))
        _add(change, state, intent)
    return change


def _merge_rows(change: Change, state: TableState, intent: TableIntent) -> None:
    incoming = state.once("incoming", lambda: read_incoming(state, intent))
    if intent.strategy == "insert-only":
        keys = intent.keys.primary_key
        present = present_keys(state, incoming.key_set(keys))
        _add(change, state, intent, excluding(incoming, present).keep_masks())
        return
    unchanged = None
    if state.tasks:
        deletion = state.once("superseded", lambda: superseded(incoming, intent))
        unchanged = unchanged_keys(state, intent, incoming, intent.keys.primary_key)
        if deletion:
            change_rows(change, state, replace(deletion, spared=unchanged))
    _add(change, state, intent, excluding(incoming, unchanged).keep_masks())


def excluding(incoming: Incoming, keys: KeySet | None) -> Incoming:
    """Return the incoming rows, of which those whose key is in the set are no longer kept."""
    if keys is None:
        return incoming
    return incoming.keeping(pc.invert(keys.find_in(incoming.keys)))


def _merge_versions(change: Change, state: TableState, intent: TableIntent) -> None:
    validity = intent.validity
    if validity is None:
        msg = f"The intent for `{intent.table}` lacks its validity columns"
        raise ValueError(msg)
    version = [validity.row_version]
    incoming = state.once("incoming", lambda: read_incoming(state, intent, version))
    versions = incoming.kept_set(version)
    merge_key = intent.keys.merge_key
    merge_keys = incoming.key_set(merge_key) if merge_key else None
    change_rows(change, state, Retirement(validity, versions, scope_of(intent) or merge_keys))
    active = active_versions(state, validity, versions)
    masks = excluding(incoming, active).keep_masks()
    digests = tuple(_digest(mask) for mask in masks)
    change.added += state.once(
        ("versions", intent.files, digests, validity),
        lambda: _write_kept(state, intent, masks, lambda batch: _with_validity(batch, validity)),
    )


def _with_validity(batch: pa.RecordBatch, validity: Validity) -> pa.RecordBatch:
    for name, value in (
        (validity.valid_from, validity.boundary),
        (validity.valid_to, validity.active),
    ):
        index = batch.schema.get_field_index(name)
        column_field = batch.schema.field(index)
        column = pa.repeat(pa.scalar(value, column_field.type), batch.num_rows)
        batch = batch.set_column(index, column_field, column)
    return batch


def _merge_nested(
    change: Change, state: TableState, intent: TableIntent, nesting: Nesting, read_table: ReadTable
) -> None:
    """Merge nested rows as their root: deleted with replaced root rows, added with kept ones."""
    root_state, root = read_table(nesting.root)
    if root.window:
        _overwrite_nested(change, state, intent, nesting, root_state, root.window)
        return
    rows_of = _by_row_key(intent, nesting, root)
    if nesting.root_key is None:
        rows = state.once("incoming", lambda: read_incoming(state, rows_of))
        present = present_keys(state, rows.key_set([nesting.row_key]))
        _add(change, state, intent, excluding(rows, present).keep_masks())
        return
    row_key, validity = [nesting.root_row_key], root.validity
    version = [validity.row_version] if validity else []
    roots = root_state.once("roots", lambda: read_incoming(root_state, root, [*row_key, *version]))
    is_replaced = root.strategy in ("delete-insert", "upsert", "cdc")
    sets: tuple[KeySet, ...] = ()
    if is_replaced and (deletion := superseded(roots, root)):
        gone = matching_keys(root_state, deletion, row_key)
        sets = (_renamed(gone, nesting.root_key),)
    if validity:
        active = active_versions(root_state, validity, roots.key_set(version))
        roots = excluding(roots, active)
    elif root.strategy == "insert-only":
        roots = _without_other_row_keys(root_state, root, roots, row_key)
    remaining = None
    if root_state.was_rolled_back or root.disposition == "append":
        # Rows of roots that a rollback removed would stay forever, next to those of a root that
        # is loaded again with the same key.
        kept = _all_keys(root_state, row_key)
        if not is_replaced:
            kept = KeySet(pa.concat_tables([kept.rows, roots.kept_set(row_key).rows]))
        remaining = _renamed(kept, nesting.root_key)
    rows = _incoming_nested(state, rows_of, nesting.root_key)
    coming = _renamed(roots.kept_set(row_key), nesting.root_key)
    rows = rows.keeping(coming.find_in(rows.keys))
    unchanged = unchanged_keys(state, intent, rows, [nesting.row_key])
    if sets or remaining is not None:
        change_rows(change, state, Deletion(sets, remaining, unchanged))
    rows = excluding(rows, unchanged)
    if root.strategy in ("scd2", "insert-only"):
        # As in dlt's SQL destinations: a nested row is added unless its own key exists, so a list
        # that grew adds its new elements, and existing ones are not changed.
        rows = excluding(rows, present_keys(state, rows.key_set([nesting.row_key])))
    _add(change, state, intent, rows.keep_masks())


def _without_other_row_keys(
    state: TableState, root: TableIntent, roots: Incoming, row_key: list[str]
) -> Incoming:
    """Return the incoming roots, without those that the table has under another row key.

    Such a root was loaded by another strategy and stays as it is, so the incoming nested rows would
    refer to a root that no table has.
    """
    present = present_keys(state, roots.key_set(root.keys.primary_key))
    same = present_keys(state, roots.key_set(row_key))
    is_absent = pc.invert(present.find_in(roots.keys))
    return roots.keeping(pc.or_(is_absent, same.find_in(roots.keys)))


def _incoming_nested(state: TableState, intent: TableIntent, root_key: str) -> Incoming:
    return state.once("incoming", lambda: read_incoming(state, intent, [root_key]))


def _all_keys(state: TableState, columns: list[str]) -> KeySet:
    batches = (
        batch
        for task in state.tasks
        for batch in read_data_file(state.metadata, state.io, task, columns)
    )
    return key_set_of(state.metadata, batches, columns)


def _without_parent(nesting: Nesting, read_table: ReadTable) -> Deletion:
    """Return the deletion of the rows that lead to no root, through the tables above."""
    if nesting.parent is None:
        # Directly below the root.
        column, above = nesting.root_key, nesting.root
    else:
        column, above = nesting.parent_key, nesting.parent
    state, intent = read_table(above)
    if column is None:
        msg = f"The intent for a table below `{above}` lacks the column that refers to it"
        raise ValueError(msg)
    if intent.nesting is None:
        kept = _all_keys(state, [nesting.root_row_key])
    else:
        row_key, gone = [intent.nesting.row_key], _without_parent(intent.nesting, read_table)
        batches = (
            gone.apply(batch, gone.marks(batch)).select(row_key)
            for task in state.tasks
            for batch in read_data_file(state.metadata, state.io, task, [*gone.columns, *row_key])
        )
        kept = key_set_of(state.metadata, batches, row_key)
    return Deletion((), _renamed(kept, column))


def _overwrite_nested(
    change: Change,
    state: TableState,
    intent: TableIntent,
    nesting: Nesting,
    root_state: TableState,
    window: Window,
) -> None:
    row_key = [nesting.root_row_key]
    deletion = window_deletion(root_state.metadata, window)
    gone = matching_keys(root_state, deletion, row_key)
    if nesting.root_key is not None:
        change_rows(change, state, Deletion((_renamed(gone, nesting.root_key),)))
    _add(change, state, intent)


def _by_row_key(intent: TableIntent, nesting: Nesting, root: TableIntent) -> TableIntent:
    """Return the intent with the row key as its key, where dlt derives that from the root's key.

    Then two copies of a root in one load have nested rows with the same key, and of two rows with
    the same key the last remains, as it does of the roots.
    """
    if root.strategy == "delete-insert":
        return intent
    return intent.model_copy(update={"keys": Keys(primary_key=(nesting.row_key,))})


def _renamed(keys: KeySet, column: str) -> KeySet:
    return KeySet(keys.rows.rename_columns([column]))


def window_deletion(metadata: TableMetadata, window: Window) -> WindowDeletion:
    """Return the deletion of a window's rows."""
    column_type = arrow_schema(metadata).field(window.column).type
    lower, upper = (parse_bound(bound, column_type) for bound in (window.start, window.end))
    return WindowDeletion(window.column, lower, upper)


def _add(
    change: Change, state: TableState, intent: TableIntent, keep: list[Mask | None] | None = None
) -> None:
    """Add the staged files: unchanged where all rows are kept, otherwise only their kept rows."""
    metadata = state.metadata
    as_it_is = intent.spec == str(metadata.spec())
    is_in_order = intent.sort_order == str(default_sort_order(metadata))
    sort_order_id = order_of_sorted_rows(metadata) if is_in_order else None
    partial: list[tuple[StagedFile, Mask | None]] = []
    for number, staged in enumerate(intent.files):
        mask = keep[number] if keep else None
        if not staged.rows:
            continue
        data_file = None
        if mask is None and as_it_is:
            data_file = state.once(
                ("registered", staged, sort_order_id),
                functools.partial(register, metadata, state.io, staged, sort_order_id),
            )
        if data_file is not None:
            change.added.append(data_file)
        else:
            partial.append((staged, mask))
    if partial:
        files = tuple(staged for staged, _ in partial)
        masks = [mask for _, mask in partial]
        intent = intent.model_copy(update={"files": files})
        digests = tuple(_digest(mask) for mask in masks)
        change.added += state.once(
            ("merged", files, digests), lambda: _write_kept(state, intent, masks)
        )


def _digest(mask: Mask | None) -> str | None:
    if mask is None:
        return None
    return sha256(np.packbits(mask.to_numpy(zero_copy_only=False)).tobytes()).hexdigest()


def _write_kept(
    state: TableState,
    intent: TableIntent,
    keep: list[Mask | None],
    transform: Callable[[pa.RecordBatch], pa.RecordBatch] = lambda batch: batch,
) -> list[DataFile]:
    """Write the kept rows of staged files to new data files."""

    def kept_rows() -> Iterator[pa.RecordBatch]:
        current, start = -1, 0
        for number, batch in read_staged(state.io, intent.files, arrow_schema(state.metadata)):
            start = start if number == current else 0
            current = number
            mask = keep[number]
            rows = batch if mask is None else batch.filter(mask.slice(start, batch.num_rows))
            start += batch.num_rows
            yield transform(rows)

    staged = write_staged(kept_rows(), state.metadata, state.io, "merged")
    return [as_data_file(state.metadata, state.io, file) for file in staged]
