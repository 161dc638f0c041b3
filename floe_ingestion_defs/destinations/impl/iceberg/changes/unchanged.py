"""Unchanged rows: those of a merge that equal the table's row with the same key.

A merge with dlt's option `skip_unchanged_rows` leaves them in the table, so a load in which nothing
changed makes no snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet, normalized
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import (
    Deletion,
    matching_rows,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import arrow_schema
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import read_staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.table import FileScanTask

    from floe_ingestion_defs.destinations.impl.iceberg.changes.incoming import Incoming
    from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent

_PRESENT, _INCOMING = "__present", "__incoming"


def unchanged_keys(
    state: TableState, intent: TableIntent, incoming: Incoming, key: Sequence[str]
) -> KeySet | None:
    """Return the keys of the incoming rows that equal the table's; None if nothing is compared.

    Of a key that several rows of the table have, all of them equal the incoming row.

    Memory holds the compared columns of the incoming rows, and of a data file's rows with their
    keys.

    Args:
        state: The table.
        intent: The load's intent for it, with the columns to compare.
        incoming: Its rows; those that are not kept count as changed.
        key: The columns of the key, of which no two kept rows have the same values.
    """
    compared = intent.keys.compared
    if not compared:
        return None
    schema, names = arrow_schema(state.metadata), list(dict.fromkeys([*key, *compared]))
    batches = [batch for _, batch in read_staged(state.io, intent.files, schema, names)]
    rows = pa.Table.from_batches(batches, pa.schema([schema.field(name) for name in names]))
    rows = rows.filter(incoming.kept).combine_chunks()
    keys = KeySet(rows.select(key))
    found, changed = [np.array([], np.int64)], [np.array([], np.int64)]
    for task in state.tasks:
        if keys.may_be_in(task.file, state.metadata):
            present = _rows_with_keys(state, task, keys, names)
            numbers, differ = _differences(rows, present, key, compared)
            found.append(numbers)
            changed.append(numbers[differ])
    same = np.setdiff1d(np.concatenate(found), np.concatenate(changed))
    return KeySet(rows.select(key).take(pa.array(same, pa.int64())))


def _rows_with_keys(
    state: TableState, task: FileScanTask, keys: KeySet, names: Sequence[str]
) -> pa.Table:
    schema = pa.schema([arrow_schema(state.metadata).field(name) for name in names])
    batches = matching_rows(state, Deletion((keys,)), names, [task])
    return pa.Table.from_batches(list(batches), schema)


def _differences(
    rows: pa.Table, present: pa.Table, key: Sequence[str], compared: Sequence[str]
) -> tuple[Any, Any]:
    """Return for each row that is present the number of the incoming one, and whether they differ.

    Values are compared as by SQL's `IS DISTINCT FROM`.
    """
    pairs = _numbered(present, key, _PRESENT).join(
        _numbered(rows, key, _INCOMING), keys=list(key), join_type="inner"
    )
    left = present.select(list(compared)).take(pairs[_PRESENT])
    right = rows.select(list(compared)).take(pairs[_INCOMING])
    differ = np.zeros(pairs.num_rows, np.bool_)
    for name in compared:
        differ |= _distinct(left[name], right[name])
    return pairs[_INCOMING].to_numpy(), differ


def _numbered(rows: pa.Table, key: Sequence[str], name: str) -> pa.Table:
    numbers = pa.array(range(rows.num_rows), pa.int64())
    return normalized(rows.select(list(key))).append_column(name, numbers)


def _distinct(left: pa.ChunkedArray, right: pa.ChunkedArray) -> Any:
    """Return a NumPy mask of the rows in which the two columns differ."""
    if pa.types.is_nested(left.type):  # Arrow has no comparison for them.
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        return np.array([one != other for one, other in pairs], np.bool_)
    same = pc.fill_null(pc.equal(left, right), fill_value=False)
    same = pc.or_(same, pc.and_(pc.is_null(left), pc.is_null(right)))
    if pa.types.is_floating(left.type):
        nan = pc.and_(pc.is_nan(left), pc.is_nan(right))
        same = pc.or_(same, pc.fill_null(nan, fill_value=False))
    return pc.invert(same).to_numpy()
