"""Sets of keys: which rows have a key of the set, and whether a data file may contain any."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.types import PrimitiveType

from floe_ingestion_defs.destinations.impl.iceberg.changes.key_hashes import (
    hashes_of,
    normalized_column,
)
from floe_ingestion_defs.destinations.impl.iceberg.changes.spill import (
    grouped,
    range_numbers,
    ranges_of,
    spill_file,
    split_by_key,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.partitions import decode_value

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata

# With so many times as many keys as rows, a search for each row takes less time than a hash table
# of the keys: 0.08 s instead of 1.8 s for 4 M keys and the 100,000 rows of a file.
_KEYS_TO_SEARCH = 2
# So many rows of a set, or of those that are compared with it, are copied at once.
_ROWS_AT_ONCE = 64 * 1024
# Integers are looked up in a table with a byte for each number from the least to the greatest, if
# it has so few: 4 ms instead of 55 ms for 200,000 keys and the 1,500,000 rows of a file.
_MOST_NUMBERS = 16 * 1024 * 1024
_NUMBERS_PER_ROW = 32
# In runs of so many on average, NumPy's stable sort takes 3 ms for 2 M integers, its default 112.
_ORDERED_RUN = 256
# What a hash table takes for each key of several columns, or of a type without an order.
_BYTES_TO_GROUP = 200

# A boolean Arrow array, one value per row.
Mask: TypeAlias = Any


def normalized(keys: pa.Table) -> pa.Table:
    """Return keys such that equal ones have the same bytes, by which Arrow compares them."""
    for index, column in enumerate(keys.columns):
        keys = keys.set_column(index, keys.field(index), normalized_column(column))
    return keys


class KeySet:
    """A set of keys, each a tuple of column values.

    A set that exceeds the bound of memory is in parts, by ranges of the keys' hashes, and spilled:
    one part is built or searched at a time.

    Args:
        rows: The key columns, in the table's Arrow types; duplicates are allowed.
    """

    def __init__(self, rows: pa.Table) -> None:
        self.columns: list[str] = rows.column_names
        size = rows.nbytes
        if not _is_ordered(rows.schema):
            size = max(size, _BYTES_TO_GROUP * rows.num_rows)
        ranges = ranges_of(size) if self.columns else 1
        if ranges == 1:
            self._parts = [_Part(as_batch(_distinct(rows)))]
            return
        with spill_file(rows.schema) as file:
            for part in split_by_key(rows, ranges):
                file.write(as_batch(_distinct(part)))
            self._parts = [_Part(batch) for batch in file.read()]

    @property
    def rows(self) -> pa.Table:
        """The keys, each once; one column of a type that has an order is in it, within a part."""
        return pa.Table.from_batches([part.rows for part in self._parts])

    def __len__(self) -> int:
        return sum(part.rows.num_rows for part in self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeySet) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        """What two sets of the same rows have in common, so that attempts share their work."""
        digest = sha256()
        for part in self._parts if self.columns else ():
            rows = part.in_order
            for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
                digest.update(rows.slice(start, _ROWS_AT_ONCE).serialize())
        return tuple(self.columns), str(self._parts[0].rows.schema), digest.digest()

    def __getstate__(self) -> dict[str, Any]:
        # What is derived from the rows would be sent to a cluster in addition.
        return {key: value for key, value in self.__dict__.items() if key != "_content"}

    @property
    def hashed(self) -> int:
        """How many keys Arrow hashes for each batch that is compared with them, however few rows.

        Integers are looked up in a table of their range, and searched if they are many.
        """
        column_types = self._parts[0].rows.schema.types
        is_integer = len(column_types) == 1 and pa.types.is_integer(column_types[0])
        return 0 if is_integer else len(self)

    def contains(self, batch: pa.RecordBatch) -> Mask:
        """Return for each row of the batch whether its key is in the set; a null never is."""
        if len(self._parts) == 1:
            return self._parts[0].contains(batch)
        schema = self._parts[0].rows.schema
        columns = [batch.column(each.name).cast(each.type) for each in schema]
        keys = pa.RecordBatch.from_arrays(columns, schema=schema)
        hashes = hashes_of(pa.Table.from_batches([keys]), self.columns)
        numbers = range_numbers(hashes, len(self._parts))
        found = np.zeros(batch.num_rows, np.bool_)
        for number, part in enumerate(self._parts):
            places = np.flatnonzero(numbers == number)
            own = keys.take(pa.array(places))
            found[places] = part.contains(own).to_numpy(zero_copy_only=False)
        return pa.array(found)

    def find_in(self, rows: pa.Table) -> Mask:
        """Return for each row of a table whether its key is in the set; a null never is."""
        keys = rows.select(self.columns).to_batches()
        masks = [self.contains(group) for group in grouped(keys, self.hashed)]
        return pa.concat_arrays([pa.array([], pa.bool_()), *masks])

    def may_be_in(self, file: DataFile, metadata: TableMetadata) -> bool:
        """Return whether, by its statistics, a data file may contain any key of the set."""
        return any(part.may_be_in(file, metadata) for part in self._parts)


@dataclass(frozen=True)
class _Part:
    """Different keys, all of a set or those in one range.

    Attributes:
        rows: The keys; if they are ordered, in that order.
    """

    rows: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def columns(self) -> list[str]:
        """The columns of the keys."""
        return list(self.rows.schema.names)

    @property
    def _is_ordered(self) -> bool:
        return _is_ordered(self.rows.schema)

    @property
    def in_order(self) -> pa.RecordBatch:
        """The keys, in an order that is the same for all sets of them."""
        if self._is_ordered:
            return self.rows
        return self.rows.sort_by([(name, "ascending") for name in self.columns])

    @property
    def _single(self) -> pa.Array | None:
        """The keys, if they consist of one column; in ascending order, if Arrow can search it."""
        return self.rows.column(0) if len(self.columns) == 1 else None

    def contains(self, batch: pa.RecordBatch) -> Mask:
        """Return for each row of the batch whether its key is one of these; a null never is."""
        if not len(self):
            return pa.array([False] * batch.num_rows, pa.bool_())
        if self._single is not None:
            column = normalized_column(batch.column(self.columns[0]))
            keys = self._single
            if self._is_ordered and column.type == keys.type:
                # A file often has the keys of a range alone, and Arrow hashes all that it gets.
                bounds = pc.min_max(column)
                keys = self._between(bounds["min"], bounds["max"])
                if 0 < _numbers_in(keys) <= min(_MOST_NUMBERS, _NUMBERS_PER_ROW * len(column)):
                    return _look_up(column, keys)
                if len(keys) > _KEYS_TO_SEARCH * batch.num_rows:
                    return _find(column, keys)
            return pc.is_in(column, value_set=keys, skip_nulls=True)
        rows = normalized(pa.Table.from_batches([batch.select(self.columns)]))
        numbered = rows.append_column("__row", pa.array(range(batch.num_rows), pa.int64()))
        keys = pa.Table.from_batches([self.rows])
        hits = numbered.join(keys, keys=self.columns, join_type="left semi")["__row"]
        return pc.is_in(numbered["__row"].combine_chunks(), value_set=hits.combine_chunks())

    def may_be_in(self, file: DataFile, metadata: TableMetadata) -> bool:
        """Return whether, by its statistics, a data file may contain any of the keys."""
        if self._is_ordered:
            column_type = self.rows.schema.types[0]
            return self._is_between(bounds_of(file, metadata, self.columns[0], column_type))
        candidates: Mask | None = None
        for name in self.columns:
            column = self.rows[name]
            bounds = bounds_of(file, metadata, name, column.type)
            if bounds is None:
                continue
            lower, upper = bounds
            within = pc.and_(pc.greater_equal(column, lower), pc.less_equal(column, upper))
            if pa.types.is_floating(column.type):
                within = pc.or_(within, pc.is_nan(column))  # Bounds exclude NaN.
            candidates = within if candidates is None else pc.and_(candidates, within)
        return len(self) > 0 if candidates is None else bool(pc.any(candidates).as_py())

    def _is_between(self, bounds: tuple[pa.Scalar, pa.Scalar] | None) -> bool:
        """Return whether a key is between bounds, in time that hardly grows with their number."""
        if bounds is None or not len(self):
            return len(self) > 0
        return len(self._between(*bounds)) > 0

    def _between(self, lower: pa.Scalar, upper: pa.Scalar) -> pa.Array:
        """Return the ordered keys between two bounds; none if the bounds are null."""
        keys = self.rows.column(0)
        if not lower.is_valid:
            return keys.slice(0, 0)
        first = pc.search_sorted(keys, lower, side="left").as_py()
        end = pc.search_sorted(keys, upper, side="right").as_py()
        return keys.slice(first, max(0, end - first))


def _numbers_in(keys: pa.Array) -> float:
    """Return how many numbers are in the range of ordered integers, infinity for other keys."""
    if not pa.types.is_integer(keys.type):
        return math.inf
    return keys[-1].as_py() - keys[0].as_py() + 1 if len(keys) else 0


def _look_up(column: pa.Array, keys: pa.Array) -> Mask:
    """Return for each integer whether it is one of the ordered keys, by a table of their range."""
    numbers = keys.to_numpy().astype(np.int64, copy=False)
    places = numbers - numbers[0]
    is_key = np.zeros(places[-1] + 2, np.bool_)  # The last is for all numbers out of the range.
    is_key[places] = True
    other = np.uint64(len(is_key) - 1)
    values = column.fill_null(0).to_numpy()
    found = np.empty(len(values), np.bool_)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        # A number below the range becomes one far above it.
        distances = values[start : start + _ROWS_AT_ONCE].astype(np.int64) - numbers[0]
        at_most = np.minimum(distances.view(np.uint64), other)
        found[start : start + _ROWS_AT_ONCE] = is_key[at_most]
    mask = pa.array(found)
    return pc.and_(mask, column.is_valid()) if column.null_count else mask


def _find(column: pa.Array, keys: pa.Array) -> Mask:
    """Return for each value whether it is an ordered key, without a hash table of all keys."""
    positions = pc.search_sorted(keys, column)
    nearest = pc.take(keys, pc.min_element_wise(positions, len(keys) - 1))
    return pc.fill_null(pc.equal(nearest, column), fill_value=False)


def as_batch(rows: pa.Table) -> pa.RecordBatch:
    """Return the rows of a table as one batch, without a copy if they are in one."""
    arrays = [
        column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(_chunks(column))
        for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=rows.schema)


def _chunks(column: pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks or [pa.array([], column.type)]


def _distinct(rows: pa.Table) -> pa.Table:
    if _is_ordered(rows.schema):
        return pa.table([_ordered(rows.column(0))], schema=rows.schema)
    rows = normalized(rows)
    return rows.group_by(rows.column_names).aggregate([]) if rows.column_names else rows


def _ordered(keys: pa.ChunkedArray) -> pa.Array:
    """Return the distinct keys in ascending order, without null."""
    keys = keys.drop_null()
    if not len(keys):
        return pa.array([], keys.type)
    if pa.types.is_integer(keys.type):
        # Twice as fast as by Arrow, and twenty times as fast as `numpy.unique`.
        numbers = np.concatenate([chunk.to_numpy() for chunk in keys.chunks])
        runs = np.count_nonzero(numbers[1:] < numbers[:-1])
        numbers.sort(kind="stable" if runs * _ORDERED_RUN < len(numbers) else None)
        ordered = pa.array(numbers, keys.type)
    else:
        ordered = pa.concat_arrays(keys.chunks)
        if pc.any(pc.less(ordered.slice(1), ordered.slice(0, len(ordered) - 1))).as_py():
            ordered = ordered.take(pc.sort_indices(ordered))
    differs = pc.not_equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1))
    if pc.all(differs).as_py() in (True, None):
        return ordered
    return ordered.filter(pa.concat_arrays([pa.array([True]), differs]))


def _is_ordered(schema: pa.Schema) -> bool:
    """Return whether Arrow orders the keys and searches them; floats have several equal values."""
    if len(schema) != 1:
        return False
    types, column_type = pa.types, schema.types[0]
    return bool(
        types.is_integer(column_type)
        or types.is_temporal(column_type)
        or types.is_string(column_type)
        or types.is_large_string(column_type)
        or types.is_binary(column_type)
        or types.is_large_binary(column_type)
    )


def stored_bounds(
    file: DataFile, metadata: TableMetadata, column: str
) -> tuple[object, object] | None:
    """Return the lower and the upper bound of a column in a data file, None where unknown.

    A bound that cannot be decoded, such as one that another engine wrote for the type that the
    column had before, is none.
    """
    field_ = metadata.schema().find_field(column)
    lower = (file.lower_bounds or {}).get(field_.field_id)
    upper = (file.upper_bounds or {}).get(field_.field_id)
    if lower is None or upper is None or not isinstance(field_.field_type, PrimitiveType):
        return None
    try:
        return decode_value(field_.field_type, lower), decode_value(field_.field_type, upper)
    except (ArithmeticError, TypeError, ValueError, struct.error):
        return None


def bounds_of(
    file: DataFile, metadata: TableMetadata, column: str, as_type: pa.DataType
) -> tuple[pa.Scalar, pa.Scalar] | None:
    """Return the bounds of a column in a data file as Arrow scalars, None where unknown.

    Args:
        file: The data file.
        metadata: The table.
        column: The column's name.
        as_type: The Arrow type of the bounds.
    """
    stored = stored_bounds(file, metadata, column)
    if stored is None:
        return None
    try:
        lower, upper = (pa.scalar(bound, as_type) for bound in stored)
    except (OverflowError, TypeError, ValueError):
        return None  # What Arrow cannot hold.
    return lower, upper
