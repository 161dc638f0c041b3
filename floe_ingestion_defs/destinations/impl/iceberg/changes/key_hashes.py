"""Hashes of keys, of 8 bytes each: which rows may have the same key as another row.

In most loads, all keys differ. A hash table of the keys themselves takes over 200 bytes per text
key. Here, only the rows whose hashes are equal are compared, so the result is exact, and a
collision costs time alone.
"""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Hashing takes some 40 bytes for each byte of a text key.
_BYTES_AT_ONCE = 256 * 1024
_MULTIPLIERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))

Numbers = np.ndarray[Any, np.dtype[Any]]


def normalized_column(column: Any) -> Any:
    """Return the values of a key column such that equal ones have the same bytes.

    As in SQL, 0.0 equals -0.0, and as in most engines, NaN equals NaN.
    """
    if not pa.types.is_floating(column.type):
        return column
    zero, nan = pa.scalar(0.0, column.type), pa.scalar(math.nan, column.type)
    return pc.if_else(pc.is_nan(column), nan, pc.add(column, zero))


def hashes_of(rows: pa.Table, key: Sequence[str]) -> Numbers:
    """Return a hash of the key of each row; equal keys have equal hashes."""
    hashes = np.zeros(rows.num_rows, np.uint64)
    for name in key:
        start = 0
        for part in _parts(rows[name]):
            own = hashes[start : start + len(part)]
            own *= _MULTIPLIERS[0]
            own += _hashes(part)
            start += len(part)
    return hashes


class Hashes:
    """The hashes of the keys of rows that come in batches.

    Spilled rows that are hashed as they come are not read again from their file, whose pages would
    count as memory of the process.

    Args:
        rows: The number of rows.
        key: The columns of the key.
        most_bytes: If the hashes take more bytes, they are in a temporary file.

    Attributes:
        numbers: The hashes.
    """

    def __init__(self, rows: int, key: Sequence[str], most_bytes: int) -> None:
        self._key = key
        self._next = 0
        self.numbers: Numbers
        size = 8 * rows
        if size <= most_bytes:
            self.numbers = np.zeros(rows, np.uint64)
            return
        with tempfile.TemporaryFile(prefix="floe-hashes-") as file:
            file.truncate(size)
            self.numbers = np.memmap(file, np.uint64, "r+")

    def following(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches, each after the hashes of its rows are added."""
        for batch in batches:
            end = self._next + batch.num_rows
            self.numbers[self._next : end] = hashes_of(pa.Table.from_batches([batch]), self._key)
            self._next = end
            yield batch


def repeated(hashes: Numbers) -> Numbers:
    """Return for each hash whether it occurs again."""
    ordered = np.sort(hashes)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again):
        return np.zeros(len(hashes), np.bool_)
    again = np.unique(again)
    places = np.minimum(np.searchsorted(again, hashes), len(again) - 1)
    return np.asarray(again[places] == hashes)


def _parts(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    for chunk in column.chunks:
        rows = max(1, _BYTES_AT_ONCE * len(chunk) // max(1, chunk.nbytes))
        for start in range(0, len(chunk), rows):
            yield chunk.slice(start, rows)


def _hashes(values: pa.Array) -> Numbers:
    """Return a hash of each value; null has that of an empty string, or of zero."""
    types = pa.types
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if types.is_decimal(values.type):
        return _hashes_of_decimals(values)
    if types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    elif types.is_temporal(values.type) or types.is_floating(values.type):
        values = normalized_column(values).view(f"int{values.type.bit_width}")
    if types.is_integer(values.type):
        return _mixed(pc.fill_null(values, 0).to_numpy().astype(np.uint64))
    return _hashes_of_bytes(values.cast(pa.large_binary()))


def _hashes_of_decimals(values: pa.Array) -> Numbers:
    values = pc.fill_null(values, pa.scalar(0, values.type))
    width = values.type.byte_width
    content = np.frombuffer(values.buffers()[1], np.uint8)
    content = content[values.offset * width :][: len(values) * width]
    hashes = np.zeros(len(values), np.uint64)
    for word in content.view(f"u{min(width, 8)}").reshape(len(values), -1).T:
        hashes = _mixed(hashes + word)
    return hashes


def _hashes_of_bytes(values: pa.Array) -> Numbers:
    """Return the sum of a hash per byte and its position, for each value."""
    _, offsets_buffer, content = values.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[values.offset :][: len(values) + 1]
    lengths = np.diff(offsets)
    if content is None or not lengths.any():
        return np.zeros(len(values), np.uint64)
    content = np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]]
    starts = offsets - offsets[0]
    positions = np.arange(len(content)) - np.repeat(starts[:-1], lengths)
    sums = np.zeros(len(content) + 1, np.uint64)
    np.cumsum(
        _mixed(positions.astype(np.uint64) * np.uint64(256) + content + np.uint64(1)), out=sums[1:]
    )
    return np.asarray(sums[starts[1:]] - sums[starts[:-1]])


def _mixed(numbers: Numbers) -> Numbers:
    for multiplier in _MULTIPLIERS:
        numbers = numbers * multiplier
        numbers ^= numbers >> np.uint64(31)
    return numbers
