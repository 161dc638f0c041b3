"""The incoming rows of a merge: their keys, and which of them a table keeps.

Computed from the staged files alone, so that every publisher of a load computes the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.changes import spill
from floe_ingestion_defs.destinations.impl.iceberg.changes.key_hashes import Hashes, repeated
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet, normalized
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import arrow_schema
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import read_staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from floe_ingestion_defs.destinations.impl.iceberg.changes.key_hashes import Numbers
    from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import Mask
    from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent

# What the search for equal keys takes for each row: hashes, their order, and the rows' numbers.
_BYTES_TO_COMPARE = 64


@dataclass
class Incoming:
    """The staged rows of a table, reduced to what a merge needs of them.

    Past a bound, the key columns are spilled; one byte per row remains in memory.

    Attributes:
        keys: Key columns, the row key where there are nested tables, and the position of each row
            as file number and row number.
        kept: For each row, whether it is added to the table.
    """

    keys: pa.Table
    kept: Mask
    counts: list[int] = field(default_factory=list)
    _sets: dict[tuple[str, ...], KeySet] = field(default_factory=dict, repr=False)

    def key_set(self, columns: Sequence[str]) -> KeySet:
        """Return the keys of all incoming rows, including those that are not kept."""
        names = tuple(columns)
        if names not in self._sets:
            self._sets[names] = KeySet(self.keys.select(list(names)))
        return self._sets[names]

    def kept_set(self, columns: Sequence[str]) -> KeySet:
        """Return the keys of the rows that are added to the table."""
        keys = self.keys.select(list(columns))
        return KeySet(spill.gathered(_filtered(keys, self.kept), keys.schema))

    def keeping(self, mask: Mask) -> Incoming:
        """Return these rows, of which only those that the mask marks are still kept."""
        return Incoming(self.keys, pc.and_(self.kept, mask), self.counts, self._sets)

    def keep_masks(self) -> list[Mask | None]:
        """Return for each staged file which of its rows are kept; None where all are."""
        masks: list[Mask | None] = []
        start = 0
        for count in self.counts:
            mask = self.kept.slice(start, count)
            masks.append(None if pc.all(mask).as_py() in (True, None) else mask)
            start += count
        return masks


def read_incoming(state: TableState, intent: TableIntent, extra: Sequence[str] = ()) -> Incoming:
    """Read the keys of the staged rows and decide which of several with the same key is kept.

    As in dlt's SQL destinations: of the rows with the same primary key the first by `dedup_sort`
    remains, and a row flagged by `hard_delete` is not inserted; without `dedup_sort` any may
    remain, and here it is the last of the last file.
    """
    keys = intent.keys
    sort = keys.dedup_sort
    columns = dict.fromkeys(
        [
            *keys.primary_key,
            *keys.merge_key,
            *([keys.hard_delete] if keys.hard_delete else []),
            *([sort[0]] if sort else []),
            *extra,
        ]
    )
    schema = arrow_schema(state.metadata)
    names = [name for name in columns if name in schema.names]
    counts = [staged.rows for staged in intent.files]
    if not names:
        total = sum(counts)
        return Incoming(pa.table({}), pa.array([True] * total, pa.bool_()), counts)
    batches: Iterator[pa.RecordBatch] = (
        b for _, b in read_staged(state.io, intent.files, schema, names)
    )
    key = keys.primary_key
    hashes = None
    if key and not _is_integer(schema, key):
        hashes = Hashes(sum(counts), key, spill.MOST_BYTES)
        batches = hashes.following(batches)
    rows = spill.gathered(batches, pa.schema([schema.field(n) for n in names]))
    incoming = Incoming(rows, pa.array(np.ones(rows.num_rows, np.bool_)), counts)
    if hashes is None and key and len(incoming.key_set(key)) < rows.num_rows:
        # Integers are hashed only if some are equal: their set, which a merge needs, says so.
        hashes = Hashes(rows.num_rows, key, spill.MOST_BYTES)
        deque(hashes.following(rows.to_batches()), maxlen=0)
    if hashes is not None:
        incoming.kept = _first_of_each(rows, key, sort, hashes.numbers)
    if keys.hard_delete:
        incoming = incoming.keeping(pc.invert(_flagged(rows[keys.hard_delete])))
    if isinstance(incoming.kept, pa.ChunkedArray):
        incoming.kept = incoming.kept.combine_chunks()
    return incoming


def _is_integer(schema: pa.Schema, key: Sequence[str]) -> bool:
    return len(key) == 1 and bool(pa.types.is_integer(schema.field(key[0]).type))


def _filtered(rows: pa.Table, mask: Mask) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in rows.to_batches():
        yield batch.filter(mask.slice(start, batch.num_rows))
        start += batch.num_rows


def _first_of_each(
    rows: pa.Table, key: Sequence[str], sort: tuple[str, str] | None, hashes: Numbers
) -> pa.BooleanArray:
    """Return a mask of one row per key: the first by `sort`, otherwise the last.

    Only rows whose hash occurs again are compared, those in one range of hashes at a time.
    """
    mask = np.ones(rows.num_rows, np.bool_)
    for places in _in_ranges(hashes):
        candidates = places[repeated(hashes[places])]
        if len(candidates):
            first = _first_of_groups(_taken(rows, candidates), key, sort)
            mask[candidates] = first.to_numpy(zero_copy_only=False)
    return pa.array(mask)


def _in_ranges(hashes: Numbers) -> Iterator[Numbers]:
    """Yield the places of the hashes in each range, in their order."""
    ranges = spill.ranges_of(_BYTES_TO_COMPARE * len(hashes))
    numbers = spill.range_numbers(hashes, ranges)
    for number in range(ranges):
        yield np.flatnonzero(numbers == number)


def _taken(rows: pa.Table, places: Numbers) -> pa.Table:
    """Return rows by their places in ascending order; Arrow copies all strings for that."""
    batches = rows.to_batches()
    ends = np.cumsum([batch.num_rows for batch in batches])
    parts = np.split(places, np.searchsorted(places, ends[:-1]))
    starts = ends - [batch.num_rows for batch in batches]
    return pa.Table.from_batches(
        [
            batch.take(pa.array(part - start))
            for batch, part, start in zip(batches, parts, starts, strict=True)
        ],
        rows.schema,
    )


def _first_of_groups(
    rows: pa.Table, key: Sequence[str], sort: tuple[str, str] | None
) -> pa.BooleanArray:
    """Return the same as `_first_of_each`, by a hash table of the keys."""
    position = pa.array(range(rows.num_rows), pa.int64())
    numbered = normalized(rows.select(list(key))).append_column("__row", position)
    groups = numbered.group_by(list(key)).aggregate([("__row", "max")])
    if groups.num_rows == rows.num_rows:
        return pa.array([True] * rows.num_rows, pa.bool_())
    if sort is not None:
        order = "descending" if sort[1] == "desc" else "ascending"
        ranked = pc.sort_indices(
            pa.table({"value": rows[sort[0]], "row": position}),
            # Nulls are at the end by default.
            sort_keys=[("value", order), ("row", "descending")],
        )
        rank = pa.array(range(rows.num_rows), pa.int64())
        by_row = rank.take(pc.sort_indices(ranked))
        numbered = numbered.append_column("__rank", by_row)
        best = numbered.group_by(list(key)).aggregate([("__rank", "min")])["__rank_min"]
        winners = ranked.take(best.combine_chunks()).cast(pa.int64())
    else:
        winners = groups["__row_max"].combine_chunks()
    return pc.is_in(position, value_set=winners)


def _flagged(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the rows that `hard_delete` marks: true for a boolean, otherwise any value."""
    if pa.types.is_boolean(column.type):
        return pc.fill_null(column, fill_value=False)
    return pc.is_valid(column)
