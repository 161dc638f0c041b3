"""Keys of a merge that exceed a bound are spilled: written to a temporary file, and mapped from it.

Mapped rows take no memory of the process: the operating system reads their pages when they are
needed, and drops them when it needs the memory. The file has no name, so a killed process leaves
nothing behind. It is in the folder for temporary files, which `TMPDIR` names.
"""

from __future__ import annotations

import mmap
import tempfile
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa

from floe_ingestion_defs.destinations.impl.iceberg.changes.key_hashes import Numbers, hashes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# More bytes than this are spilled, and read again in ranges that take as many: building one range
# of a key set, or searching it for equal keys, takes about five times as much. 8 million integers.
MOST_BYTES = 64 * 1024 * 1024
# The files that are open while rows are split; the number of a range is a byte.
_MOST_RANGES = 256
_ROWS_AT_ONCE = 64 * 1024
# At least so many rows are compared with a set of keys at once, and at most so many bytes.
_ROWS_IN_GROUP = 512 * 1024
_BYTES_IN_GROUP = 64 * 1024 * 1024


class SpillFile:
    """Batches of rows that are written to a temporary file, and then read from it as they were."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = file
        self._writer = pa.ipc.new_file(file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch of rows."""
        self._writer.write_batch(batch)

    def read(self) -> list[pa.RecordBatch]:
        """Return the batches; their memory is the mapped file, which outlives the open one."""
        self._writer.close()
        self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.py_buffer(mapped))
        return [reader.get_batch(number) for number in range(reader.num_record_batches)]


@contextmanager
def spill_file(schema: pa.Schema) -> Iterator[SpillFile]:
    """Yield a new file for rows with a schema."""
    with tempfile.TemporaryFile(prefix="floe-keys-") as file:
        yield SpillFile(file, schema)


def gathered(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Return a table of the rows, which are spilled once they exceed the bound."""
    held: list[pa.RecordBatch] = []
    size = 0
    remaining = iter(batches)
    for batch in remaining:
        held.append(batch)
        size += batch.nbytes
        if size > MOST_BYTES:
            with spill_file(schema) as file:
                for each in chain(held, remaining):
                    file.write(each)
                return pa.Table.from_batches(file.read(), schema)
    return pa.Table.from_batches(held, schema)


def grouped(batches: Iterable[pa.RecordBatch], least_rows: int) -> Iterator[pa.RecordBatch]:
    """Combine batches of key columns, since Arrow hashes the keys of a set once for each.

    A group has at least so many rows, unless they need too much memory.
    """
    least = max(_ROWS_IN_GROUP, least_rows)
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= least or size >= _BYTES_IN_GROUP:
            yield from pa.Table.from_batches(group).combine_chunks().to_batches()
            group, rows, size = [], 0, 0
    if group:
        yield from pa.Table.from_batches(group).combine_chunks().to_batches()


def ranges_of(size: int) -> int:
    """Return into how many ranges rows are split that take so many bytes."""
    return min(_MOST_RANGES, max(1, -(-size // max(1, MOST_BYTES))))


def range_numbers(hashes: Numbers, ranges: int) -> Numbers:
    """Return for each hash which of so many ranges it is in, a byte each."""
    numbers = np.empty(len(hashes), np.uint8)
    for start in range(0, len(hashes), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        numbers[part] = (hashes[part] >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32)
    return numbers


def split_by_key(rows: pa.Table, ranges: int) -> Iterator[pa.Table]:
    """Yield the rows in so many parts, in each of which all rows with the same key are.

    Args:
        rows: The keys, whose columns are those of the table.
        ranges: The number of ranges of the keys' hashes.
    """
    with ExitStack() as opened:
        files = [opened.enter_context(spill_file(rows.schema)) for _ in range(ranges)]
        for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
            hashes = hashes_of(pa.Table.from_batches([batch]), batch.schema.names)
            numbers = range_numbers(hashes, ranges)
            for number, file in enumerate(files):
                file.write(batch.filter(pa.array(numbers == number)))
        for file in files:
            yield pa.Table.from_batches(file.read(), rows.schema)
