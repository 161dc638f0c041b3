"""Which rows may have the key of another row, by hashes of 8 bytes.

In most loads, all keys differ. A hash table of the keys themselves takes over 200 bytes per text
key. Here, only the rows whose hashes are equal are compared, so the result is exact, and a
collision costs time alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Hashing takes some 40 bytes for each byte of a text key.
_BYTES_AT_ONCE = 256 * 1024
_MULTIPLIERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))

Numbers = np.ndarray[Any, np.dtype[Any]]


def repeated(rows: pa.Table, key: Sequence[str]) -> Numbers | None:
    """Return for each row whether the hash of its key occurs again, None for other types of keys.

    Args:
        rows: The rows.
        key: The columns of the key.
    """
    if not all(_is_hashed(rows.schema.field(name).type) for name in key):
        return None
    hashes = np.zeros(rows.num_rows, np.uint64)
    for name in key:
        start = 0
        for part in _parts(rows[name]):
            own = hashes[start : start + len(part)]
            own *= _MULTIPLIERS[0]
            own += _hashes(part)
            start += len(part)
    ordered = np.sort(hashes)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again):
        return np.zeros(rows.num_rows, np.bool_)
    again = np.unique(again)
    places = np.minimum(np.searchsorted(again, hashes), len(again) - 1)
    return np.asarray(again[places] == hashes)


def _is_hashed(column_type: pa.DataType) -> bool:
    return _is_text(column_type) or _is_number(column_type)


def _is_text(column_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(column_type)
        or types.is_large_string(column_type)
        or types.is_binary(column_type)
        or types.is_large_binary(column_type)
    )


def _is_number(column_type: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(column_type) or types.is_temporal(column_type))


def _parts(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    for chunk in column.chunks:
        rows = max(1, _BYTES_AT_ONCE * len(chunk) // max(1, chunk.nbytes))
        for start in range(0, len(chunk), rows):
            yield chunk.slice(start, rows)


def _hashes(values: pa.Array) -> Numbers:
    """Return a hash of each value; null has that of an empty string, or of zero."""
    if _is_text(values.type):
        return _hashes_of_bytes(values.cast(pa.large_binary()))
    if pa.types.is_temporal(values.type):
        width = pa.int32() if values.type.bit_width == 32 else pa.int64()
        values = values.view(width)
    return _mixed(pc.fill_null(values, 0).to_numpy().astype(np.uint64))


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
