"""Z-order: rows that are close in each of several columns are put close to each other.

A file then has a narrow range of every column, so that a filter on any of them skips most files. A
row's place on the curve is its rank in each column, with their bits interleaved. Rows are split by
ranges of the curve to local files, which are then sorted one by one, so memory holds one range.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidZOrder
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import is_sorted
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import (
    SORTED_FILE_BYTES,
    SORTED_FILE_ROWS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt
    from pyiceberg.table.metadata import TableMetadata

    Keys = npt.NDArray[np.uint64]
    # Reads the given columns of all rows, or all columns.
    Read = Callable[[Sequence[str] | None], Iterator[pa.RecordBatch]]

# Ranks are those among so many rows.
_SAMPLED_ROWS = 65_536
_RANK_BITS = 16
_SIGN = np.uint64(1 << 63)


def require_z_order(table: str, metadata: TableMetadata, columns: Sequence[str]) -> None:
    """Check that a table can be z-ordered by columns.

    Raises:
        InvalidZOrder: It has a sort order, does not have a column, or a column is nested.
    """
    fields = {field.name: field.field_type for field in metadata.schema().fields}
    if columns and is_sorted(metadata):
        raise InvalidZOrder(table, "it has a sort order; remove one of the two.")
    for name in columns:
        if name not in fields:
            close = get_close_matches(name, fields, n=1)
            remedy = f"did you mean `{close[0]}`?" if close else f"use some of {', '.join(fields)}."
            raise InvalidZOrder(table, f"it has no column `{name}`; {remedy}")
        if not fields[name].is_primitive:
            reason = f"column `{name}` is nested; use columns with single values."
            raise InvalidZOrder(table, reason)


def z_ordered(
    read: Read, columns: Sequence[str], rows: int, files: int
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield rows in z-order, for one file after the other.

    Args:
        read: Reads the rows; it is called twice.
        columns: The columns to order them by.
        rows: About how many there are.
        files: How many files they are for.
    """
    curve, sample = _sampled(read(columns), columns, rows)
    batches = read(None)
    first = next(batches, None)
    if first is None:
        return
    in_memory = max(1, min(SORTED_FILE_ROWS, SORTED_FILE_BYTES * first.num_rows // first.nbytes))
    ranges = max(files, -(-rows // in_memory))
    cuts = sample[[len(sample) * number // ranges for number in range(1, ranges)]]
    with tempfile.TemporaryDirectory(prefix="floe-z-order-") as folder:
        paths = [Path(folder, str(number)) for number in range(ranges)]
        _split(chain([first], batches), curve, cuts, paths)
        for file in range(files):
            of_file = paths[ranges * file // files : ranges * (file + 1) // files]
            yield _in_order(of_file, curve, in_memory)


@dataclass(frozen=True)
class _Curve:
    """The z-order curve through the ranks of rows in some columns.

    Attributes:
        samples: Sorted keys of each column, which say how its values are distributed.
    """

    samples: dict[str, Keys]

    def places(self, keys: dict[str, Keys]) -> Keys:
        """Return the places of rows on the curve, by their keys in each column."""
        bits = min(_RANK_BITS, 64 // len(self.samples))
        places = np.zeros(len(next(iter(keys.values()))), np.uint64)
        for offset, (name, sample) in enumerate(self.samples.items()):
            ranks = np.searchsorted(sample, keys[name]).astype(np.uint64)
            ranks = (ranks << np.uint64(bits)) // np.uint64(len(sample) + 1)
            for bit in range(bits):
                digit = (ranks >> np.uint64(bit)) & np.uint64(1)
                places |= digit << np.uint64(bit * len(self.samples) + offset)
        return places

    def places_of(self, rows: pa.RecordBatch) -> Keys:
        """Return the places of rows on the curve."""
        return self.places({name: keys_of(rows.column(name)) for name in self.samples})


def _sampled(
    batches: Iterable[pa.RecordBatch], columns: Sequence[str], rows: int
) -> tuple[_Curve, Keys]:
    """Return the curve of rows, and the sorted places of a sample of them."""
    step, start = max(1, rows // _SAMPLED_ROWS), 0
    found: dict[str, list[Keys]] = {name: [np.zeros(0, np.uint64)] for name in columns}
    for batch in batches:
        for name, keys in found.items():
            keys.append(keys_of(batch.column(name))[start::step])
        start = (start - batch.num_rows) % step
    sample = {name: np.concatenate(keys) for name, keys in found.items()}
    curve = _Curve({name: np.sort(keys) for name, keys in sample.items()})
    return curve, np.sort(curve.places(sample))


def keys_of(column: pa.Array) -> Keys:
    """Return numbers in the order of a column's values, of strings by their first 8 bytes.

    Nulls come first.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind, keys = column.type, np.zeros(0, np.uint64)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        bits = column.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy().view(np.uint64)
        keys = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    elif pa.types.is_integer(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
        number = column.cast(pa.int32()) if pa.types.is_date32(kind) else column
        keys = number.cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64) ^ _SIGN
    else:
        starts = pc.binary_slice(column.cast(pa.large_binary()), 0, 8).fill_null(b"")
        keys = np.array(starts.to_pylist(), "S8").view(">u8").astype(np.uint64)
    if column.null_count:
        keys[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return keys


def _split(
    batches: Iterable[pa.RecordBatch], curve: _Curve, cuts: Keys, paths: Sequence[Path]
) -> None:
    """Write rows to local files by ranges of the curve."""
    with ExitStack() as opened:
        writers: dict[int, pa.RecordBatchStreamWriter] = {}
        for batch in batches:
            numbers = np.searchsorted(cuts, curve.places_of(batch), side="right")
            order = np.argsort(numbers, kind="stable")
            rows = batch.take(pa.array(order))
            found, starts = np.unique(numbers[order], return_index=True)
            ends = [*starts[1:], batch.num_rows]
            for number, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
                if number not in writers:
                    sink = opened.enter_context(paths[number].open("wb"))
                    writer = pa.ipc.new_stream(sink, batch.schema)
                    writers[number] = opened.enter_context(writer)
                writers[number].write_batch(rows.slice(start, int(end) - start))


def _in_order(paths: Iterable[Path], curve: _Curve, in_memory: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of consecutive ranges in the order of the curve."""
    for path in paths:
        if path.exists():
            with path.open("rb") as source, pa.ipc.open_stream(source) as stream:
                held: list[pa.RecordBatch] = []
                for batch in stream:
                    held.append(batch)
                    # A place that very many rows have makes its range larger than others.
                    if sum(each.num_rows for each in held) >= 2 * in_memory:
                        yield from _sort(held, curve)
                        held = []
                yield from _sort(held, curve)
            path.unlink()


def _sort(batches: Sequence[pa.RecordBatch], curve: _Curve) -> Iterator[pa.RecordBatch]:
    if batches:
        rows = pa.concat_batches(batches)
        order = np.argsort(curve.places_of(rows), kind="stable")
        yield rows.take(pa.array(order))
