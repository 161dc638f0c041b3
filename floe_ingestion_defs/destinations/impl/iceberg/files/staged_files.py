"""Staging: the rows of a load written as data files that nothing refers to yet.

The pages of a file that dlt wrote become those of a data file unchanged, wherever the table is
neither partitioned nor sorted and the file's types are Iceberg's own; only its footer is written
again, with the table's field ids. Otherwise its rows are streamed in batches.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from floe_ingestion_defs.destinations.impl.iceberg.files.arrow_types import reads_as
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    BATCH_BYTES,
    BATCH_ROWS,
    arrow_schema,
    data_path,
    parquet_writer,
    stream_batches,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.field_ids import footer_with_field_ids
from floe_ingestion_defs.destinations.impl.iceberg.files.partitions import (
    Partition,
    split_by_partition,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import is_sorted, sort_keys
from floe_ingestion_defs.destinations.impl.iceberg.files.upload import upload
from floe_ingestion_defs.destinations.impl.iceberg.intent import StagedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyiceberg.io import FileIO
    from pyiceberg.table.metadata import TableMetadata

# Rows are sorted within a file and never across, so a sorted table's files have this many rows: it
# bounds the memory that sorting takes. Of rows with many columns or long values, there are fewer.
SORTED_FILE_ROWS = 512 * 1024
SORTED_FILE_BYTES = 128 * 1024 * 1024
# Files that are open at once while rows are split by partition. A partition that occurs again
# after its file was closed gets a second one.
OPEN_PARTITIONS = 64
# The rows of all open files that are in memory. Past it, those of the file with the most of them
# are written: to its next row group, or to a temporary file until there are enough to sort.
HELD_BYTES = 128 * 1024 * 1024


class InvalidValue(ValueError):
    """A value does not fit the type of its column.

    Attributes:
        column: The column's name.
    """

    def __init__(self, column: str) -> None:
        super().__init__(f"a value does not fit the type of column `{column}`")
        self.column = column


def can_register_unchanged(file_schema: pa.Schema, metadata: TableMetadata) -> bool:
    """Return whether the pages of a Parquet file can be those of a data file of the table."""
    if not metadata.spec().is_unpartitioned() or is_sorted(metadata):
        return False
    types = {column.name: column.type for column in arrow_schema(metadata)}
    return all(
        column.name in types and reads_as(column.type, types[column.name]) for column in file_schema
    )


def stage_file(local: Path, metadata: TableMetadata, io: FileIO, origin: str) -> list[StagedFile]:
    """Stage the rows of one local Parquet file.

    Args:
        local: A file that dlt wrote.
        metadata: The table as it will be when the load is published.
        io: The table's FileIO.
        origin: The load's uid, which is part of the files' names; see `names`.
    """
    parquet = pq.ParquetFile(local)
    if can_register_unchanged(parquet.schema_arrow, metadata):
        footer = footer_with_field_ids(parquet, local, metadata.schema())
        if footer is not None:
            path = data_path(metadata, origin)
            size = upload(io, local, path, footer)
            return [StagedFile(path=path, rows=parquet.metadata.num_rows, bytes=size)]
    return write_staged(stream_batches(parquet), metadata, io, origin)


def write_staged(
    batches: Iterable[pa.RecordBatch], metadata: TableMetadata, io: FileIO, origin: str
) -> list[StagedFile]:
    """Write rows as staged files, split by partition and sorted as the table specifies."""
    with tempfile.TemporaryDirectory(prefix="floe-stage-") as folder:
        pieces = _Splitter(metadata, Path(folder))
        for batch in batches:
            if batch.num_rows:
                pieces.add(conform(batch, arrow_schema(metadata)))
        staged = []
        for piece in pieces.finish():
            path = data_path(metadata, origin)
            size = upload(io, piece.local, path)
            staged.append(
                StagedFile(path=path, rows=piece.rows, bytes=size, partition=piece.partition)
            )
        return staged


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows in the table's columns and types; a column that they lack is null.

    Raises:
        InvalidValue: A value does not fit the table's type.
    """
    columns = []
    for target in schema:
        index = batch.schema.get_field_index(target.name)
        if index < 0:
            columns.append(pa.nulls(batch.num_rows, target.type))
            continue
        column = batch.column(index)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        # Nanoseconds are truncated to microseconds, the finest that Iceberg's format 2 has.
        safe = not (pa.types.is_timestamp(column.type) and column.type.unit == "ns")
        try:
            columns.append(column.cast(target.type, safe=safe))
        except pa.ArrowInvalid as error:
            raise InvalidValue(target.name) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@dataclass
class _Piece:
    """A local file of one partition, and the rows that are not in it yet.

    Attributes:
        local: The file.
        partition: The partition.
        rows: The rows in the file.
        pending_rows: The rows that are not in it yet, in memory or spilled.
        pending_bytes: Their size in memory.
        held: Those in memory.
        held_bytes: Their size.
        writer: Writes the file.
        spill: Writes the rows that are spilled.
    """

    local: Path
    partition: Partition
    rows: int = 0
    pending_rows: int = 0
    pending_bytes: int = 0
    held: list[pa.RecordBatch] = field(default_factory=list)
    held_bytes: int = 0
    writer: pq.ParquetWriter | None = None
    spill: pa.RecordBatchStreamWriter | None = None

    def add(self, rows: pa.RecordBatch) -> None:
        self.held.append(rows)
        self.held_bytes += rows.nbytes
        self.pending_rows += rows.num_rows
        self.pending_bytes += rows.nbytes

    def has(self, rows: int, size: int) -> bool:
        return self.pending_rows >= rows or self.pending_bytes >= size

    def spill_held(self) -> None:
        if self.spill is None:
            self.spill = pa.ipc.new_stream(self._spilled, self.held[0].schema)
        for rows in self.held:
            self.spill.write_batch(rows)
        self.held, self.held_bytes = [], 0

    def take_pending(self) -> pa.Table:
        batches = self.held
        if self.spill is not None:
            self.spill.close()
            with pa.memory_map(str(self._spilled)) as source, pa.ipc.open_stream(source) as stream:
                batches = [*stream, *batches]
            self._spilled.unlink()
        self.held, self.held_bytes, self.spill = [], 0, None
        self.pending_rows = self.pending_bytes = 0
        return pa.Table.from_batches(batches)

    @property
    def _spilled(self) -> Path:
        return self.local.with_suffix(".arrow")


class _Splitter:
    """Splits a stream of rows into local Parquet files, one or more per partition."""

    def __init__(self, metadata: TableMetadata, folder: Path) -> None:
        self._metadata = metadata
        self._folder = folder
        self._sort_keys = sort_keys(metadata)
        self._open: dict[Partition, _Piece] = {}
        self._done: list[_Piece] = []

    def add(self, batch: pa.RecordBatch) -> None:
        for partition, rows in split_by_partition(self._metadata, batch):
            piece = self._open.pop(partition, None) or self._new_piece(partition)
            self._open[partition] = piece  # The last in the dict is the most recently used.
            piece.add(rows)
            if self._sort_keys:
                if piece.has(SORTED_FILE_ROWS, SORTED_FILE_BYTES):
                    self._close(piece)
            elif piece.has(BATCH_ROWS, BATCH_BYTES):
                self._write_pending(piece)
            self._bound_memory()

    def finish(self) -> list[_Piece]:
        for piece in list(self._open.values()):
            self._close(piece)
        return self._done

    def _new_piece(self, partition: Partition) -> _Piece:
        if len(self._open) >= OPEN_PARTITIONS:
            self._close(next(iter(self._open.values())))
        number = len(self._done) + len(self._open)
        return _Piece(self._folder / f"{number}.parquet", partition)

    def _bound_memory(self) -> None:
        while sum(piece.held_bytes for piece in self._open.values()) > HELD_BYTES:
            largest = max(self._open.values(), key=lambda piece: piece.held_bytes)
            if self._sort_keys:
                largest.spill_held()
            else:
                self._write_pending(largest)

    def _write_pending(self, piece: _Piece) -> None:
        rows = piece.take_pending()
        if self._sort_keys:
            rows = rows.sort_by(self._sort_keys)
        if piece.writer is None:
            piece.writer = parquet_writer(piece.local, self._metadata, rows)
        piece.writer.write_table(rows)
        piece.rows += rows.num_rows

    def _close(self, piece: _Piece) -> None:
        if piece.pending_rows:
            self._write_pending(piece)
        if piece.writer is not None:
            piece.writer.close()
        del self._open[piece.partition]
        self._done.append(piece)


def read_staged(
    io: FileIO, files: Sequence[StagedFile], schema: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield staged rows in the table's types, each batch with the number of its file."""
    names = list(schema.names if columns is None else columns)
    wanted = pa.schema([schema.field(name) for name in names])
    for number, staged in enumerate(files):
        with io.new_input(staged.path).open() as stream:
            parquet = pq.ParquetFile(stream)
            present = [name for name in names if name in parquet.schema_arrow.names]
            for batch in stream_batches(parquet, present):
                yield number, conform(batch, wanted)


def count_nulls(io: FileIO, files: Sequence[StagedFile], columns: Sequence[str]) -> dict[str, int]:
    """Return in how many staged rows each of the columns has no value.

    The statistics in the files' footers say so, unless a column is nested.
    """
    counts = dict.fromkeys(columns, 0)
    for staged in files:
        with io.new_input(staged.path).open() as stream:
            parquet = pq.ParquetFile(stream)
            known = {name: _null_count(parquet, name) for name in columns}
            decoded = [name for name in columns if known[name] is None]
            for batch in stream_batches(parquet, decoded) if decoded else ():
                for name in decoded:
                    counts[name] += batch.column(name).null_count
        for name in columns:
            counts[name] += known[name] or 0
    return counts


def _null_count(parquet: pq.ParquetFile, column: str) -> int | None:
    """Return the number of nulls of a column by a footer, None if it does not say."""
    footer = parquet.metadata
    if column not in parquet.schema_arrow.names:
        return int(footer.num_rows)
    leaves = [footer.schema.column(index) for index in range(footer.num_columns)]
    # A leaf of a nested column has another path.
    found = [n for n, leaf in enumerate(leaves) if leaf.name == leaf.path == column]
    groups = range(footer.num_row_groups)
    statistics = [footer.row_group(group).column(n).statistics for n in found for group in groups]
    if not found or any(each is None or not each.has_null_count for each in statistics):
        return None
    return sum(int(each.null_count) for each in statistics)
