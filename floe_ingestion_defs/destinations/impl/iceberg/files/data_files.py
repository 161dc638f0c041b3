"""Parquet files as Iceberg data files: writing them, uploading them, and their metadata.

Everything goes through the table's own FileIO, and all metadata of a file comes from its footer, so
a process that recovers a load registers its files exactly as the one that staged them would have.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import (
    ArrowScan,
    pyarrow_to_schema,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table.locations import load_location_provider
from pyiceberg.typedef import Record

from floe_ingestion_defs.destinations.impl.iceberg.files.field_ids import ids_agree
from floe_ingestion_defs.destinations.impl.iceberg.files.names import data_file_name
from floe_ingestion_defs.destinations.impl.iceberg.files.partitions import (
    as_scalar,
    decode_partition,
    identity_values,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import (
    read_deleted_positions,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.projection import project
from floe_ingestion_defs.destinations.impl.iceberg.files.read_ahead import read_ahead
from floe_ingestion_defs.destinations.impl.iceberg.files.statistics import (
    METRICS_OF,
    read_statistics,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyiceberg.io import FileIO
    from pyiceberg.table import FileScanTask
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.types import NestedField

    from floe_ingestion_defs.destinations.impl.iceberg.intent import StagedFile

# Rows are read and written in pieces of so many, or fewer where rows have many columns or long
# values: 30,000 rows of 100 kB would otherwise be one batch, of 3 GB.
ROW_GROUP_ROWS = 128 * 1024
ROW_GROUP_BYTES = 32 * 1024 * 1024
BATCH_ROWS = 64 * 1024
BATCH_BYTES = 16 * 1024 * 1024
_VALUE_BYTES = 8


def data_path(metadata: TableMetadata, origin: str) -> str:
    """Return the path of a new data file, by the table's own location provider.

    Args:
        metadata: The table, with the dataset's log in its properties; or the log itself.
        origin: The load's uid, or a word for what the file is written from; see `names`.
    """
    provider = load_location_provider(metadata.location, metadata.properties)
    return provider.new_data_location(data_file_name(metadata, origin))


def arrow_schema(metadata: TableMetadata) -> pa.Schema:
    """Return the Arrow schema of the table's rows, with Iceberg's field ids in its fields."""
    schema: pa.Schema = schema_to_pyarrow(metadata.schema(), include_field_ids=True)
    return schema


# Iceberg's codecs, of which some have levels from 1 on.
_CODECS_WITHOUT_LEVELS = {"uncompressed": "none", "none": "none", "snappy": "snappy", "lz4": "lz4"}
_MOST_OF_LEVELS = {"zstd": 22, "gzip": 9, "brotli": 11}


def parquet_writer(sink: Any, metadata: TableMetadata, first: pa.Table) -> pq.ParquetWriter:
    """Open a Parquet writer for the table's rows, with the compression that the table specifies.

    Args:
        sink: A path or an open file.
        metadata: The table.
        first: The first rows that will be written, which decide the columns with a dictionary.
    """
    codec, level = _compression(metadata)
    return pq.ParquetWriter(
        sink,
        arrow_schema(metadata),
        compression=codec,
        compression_level=level,
        use_dictionary=_dictionary_columns(first),
        store_decimal_as_integer=True,
    )


def _compression(metadata: TableMetadata) -> tuple[str, int | None]:
    """Return the codec and its level; what Arrow cannot write does not fail a committed load."""
    codec = metadata.properties.get("write.parquet.compression-codec", "zstd").lower()
    if codec in _CODECS_WITHOUT_LEVELS:
        return _CODECS_WITHOUT_LEVELS[codec], None
    if codec not in _MOST_OF_LEVELS:
        codec = "zstd"
    level = metadata.properties.get("write.parquet.compression-level") or ""
    if level.isdecimal() and 1 <= int(level) <= _MOST_OF_LEVELS[codec]:
        return codec, int(level)
    # Level 1 of zstd, where the table does not specify one: a merge rewrites whole files, and
    # TPC-H's orders are written a quarter faster than at level 3, into files 4 % larger.
    return codec, 1 if codec == "zstd" else None


def _dictionary_columns(rows: pa.Table) -> list[str] | bool:
    """Return the columns whose values repeat enough for a dictionary to be worth building.

    Parquet's writer builds one for every column and gives up late: TPC-H's orders took 50 % longer
    to write, and were larger.
    """
    if any(pa.types.is_nested(column.type) for column in rows.schema):
        return True  # Their leaves have paths of their own.
    sample = rows.slice(0, BATCH_ROWS)
    return [
        name for name in sample.column_names if len(pc.unique(sample[name])) <= len(sample) // 4
    ]


def write_data_file(
    io: FileIO, metadata: TableMetadata, path: str, batches: Iterable[pa.RecordBatch]
) -> int:
    """Stream rows in the table's schema into one data file.

    Returns:
        The number of rows; without rows, no file is created.
    """
    groups = read_ahead(_grouped(batches, arrow_schema(metadata)))
    first = next(groups, None)
    if first is None:
        return 0
    rows = 0
    with (
        io.new_output(path).create(overwrite=True) as sink,
        parquet_writer(sink, metadata, first) as writer,
    ):
        for group in chain([first], groups):
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            rows += group.num_rows
    return rows


def stream_batches(
    parquet: pq.ParquetFile, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream a Parquet file's rows in batches that are bounded by their size in memory.

    pyarrow buffers all row groups that one call requests, which took 243 MB for TPC-H's lineitem.
    So one is requested at a time, or several whose rows fit into one batch.
    """
    for groups, batch_rows in _requests(parquet, columns):
        yield from parquet.iter_batches(batch_rows, row_groups=groups, columns=columns)


def _requests(
    parquet: pq.ParquetFile, columns: Sequence[str] | None
) -> Iterator[tuple[list[int], int]]:
    """Yield row groups to read at once, and how many rows of them to decode at once."""
    groups: list[int] = []
    rows = size = 0
    for number in range(parquet.num_row_groups):
        own_rows = parquet.metadata.row_group(number).num_rows
        own_size = _decoded_bytes(parquet, number, columns)
        if groups and (rows + own_rows > BATCH_ROWS or size + own_size > BATCH_BYTES):
            yield groups, _batch_rows(rows, size)
            groups, rows, size = [], 0, 0
        groups.append(number)
        rows += own_rows
        size += own_size
    if groups:
        yield groups, _batch_rows(rows, size)


def _batch_rows(rows: int, size: int) -> int:
    row_bytes = max(size / max(rows, 1), 1)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / row_bytes)))


def _decoded_bytes(parquet: pq.ParquetFile, row_group: int, columns: Sequence[str] | None) -> int:
    """Return about how many bytes the rows of a row group take in memory.

    They are those of the encoded values, or of numbers where it is more: a dictionary can be much
    smaller than the values that it stands for.
    """
    group = parquet.metadata.row_group(row_group)
    chosen = None if columns is None else set(columns)
    values = total = 0
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chosen is None or chunk.path_in_schema.partition(".")[0] in chosen:
            total += chunk.total_uncompressed_size
            values += chunk.num_values
    return max(total, values * _VALUE_BYTES)


def read_data_file(
    metadata: TableMetadata, io: FileIO, task: FileScanTask, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream a data file's rows in the table's current columns and types.

    Args:
        metadata: The table; its current schema applies.
        io: The table's FileIO.
        task: The data file, with its delete files.
        columns: The columns to read, None for all.
    """
    schema = metadata.schema() if columns is None else metadata.schema().select(*columns)
    target = schema_to_pyarrow(schema, include_field_ids=True)
    if task.file.file_format != FileFormat.PARQUET or any(f.initial_default for f in schema.fields):
        # pyiceberg's own reader knows all of the specification's cases.
        scan = ArrowScan(metadata, io, schema, AlwaysTrue())
        yield from (_cast(batch, target) for batch in scan.to_record_batches([task]))
        return
    deleted = read_deleted_positions(io, task)
    with io.new_input(task.file.file_path).open() as stream:
        parquet = pq.ParquetFile(stream)
        present = _fields_by_id(metadata, parquet.schema_arrow)
        constants = identity_values(metadata, task.file)
        wanted = [present[f.field_id].name for f in schema.fields if f.field_id in present]
        start = 0
        for batch in stream_batches(parquet, wanted):
            arrays = []
            for field, column in zip(schema.fields, target, strict=True):
                if found := present.get(field.field_id):
                    values = batch.column(found.name)
                    values = project(values, found.field_type, field.field_type, column.type)
                else:
                    value = as_scalar(constants.get(field.field_id), column.type)
                    values = pa.repeat(value, batch.num_rows)
                arrays.append(values)
            rows = pa.RecordBatch.from_arrays(arrays, schema=target)
            first, end = np.searchsorted(deleted, [start, start + batch.num_rows])
            if first < end:
                is_live = np.ones(batch.num_rows, np.bool_)
                is_live[deleted[first:end] - start] = False
                rows = rows.filter(pa.array(is_live))
            start += batch.num_rows
            yield rows


def _fields_by_id(metadata: TableMetadata, file_schema: pa.Schema) -> dict[int, NestedField]:
    schema = pyarrow_to_schema(
        file_schema, metadata.name_mapping(), downcast_ns_timestamp_to_us=True
    )
    return {field.field_id: field for field in schema.fields}


def _cast(batch: pa.RecordBatch, target: pa.Schema) -> pa.RecordBatch:
    arrays = [batch.column(f.name).cast(f.type) for f in target]
    return pa.RecordBatch.from_arrays(arrays, schema=target)


def _grouped(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Combine small batches into whole row groups, so that a thinned file reads equally fast."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(held).cast(schema)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held).cast(schema)


def data_file_from_footer(
    metadata: TableMetadata,
    io: FileIO,
    path: str,
    partition: Record | None = None,
    sort_order_id: int | None = None,
) -> DataFile:
    """Return the data file at `path`, with the statistics of its footer.

    Args:
        metadata: The table that the file is added to; its current schema and default spec apply.
        io: The table's FileIO.
        path: The file's location.
        partition: Its partition, None for an unpartitioned table.
        sort_order_id: The sort order that its rows are in, None for none.
    """
    footer = _read_footer(io, path)
    size = len(io.new_input(path))
    return _data_file(metadata, footer, path, size, partition, sort_order_id)


def register(
    metadata: TableMetadata, io: FileIO, staged: StagedFile, sort_order_id: int | None = None
) -> DataFile | None:
    """Return the data file that a staged file becomes as it is.

    Args:
        metadata: The table as it is now.
        io: The table's FileIO.
        staged: The staged file.
        sort_order_id: The sort order that its rows are in, None for none.

    Returns:
        None where the file's field ids differ from the table's: its rows must be read by the names
        of their columns, and written again.
    """
    footer = _read_footer(io, staged.path)
    if not ids_agree(footer.schema.to_arrow_schema(), metadata.schema()):
        return None
    partition = decode_partition(metadata, staged.partition)
    return _data_file(metadata, footer, staged.path, staged.bytes, partition, sort_order_id)


def _read_footer(io: FileIO, path: str) -> pq.FileMetaData:
    with io.new_input(path).open() as stream:
        return pq.read_metadata(stream)


def _data_file(
    metadata: TableMetadata,
    footer: pq.FileMetaData,
    path: str,
    size: int,
    partition: Record | None,
    sort_order_id: int | None,
) -> DataFile:
    # Another writer's rows, which a merge rewrites, can have values that Python cannot represent.
    modes = {f"{METRICS_OF}{name}": "counts" for name in columns_without_bounds(footer)}
    properties = {**metadata.properties, **modes}
    try:
        statistics = read_statistics(footer, metadata.schema(), properties)
    except UnicodeEncodeError:
        # For an upper bound, pyiceberg 0.12 increments U+D7FF to a surrogate, which cannot be
        # encoded (iceberg-python pull request 3880).
        without_bounds = {"write.metadata.metrics.default": "counts"}
        statistics = read_statistics(footer, metadata.schema(), without_bounds)
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=partition or Record(),
        file_size_in_bytes=size,
        sort_order_id=sort_order_id,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics,
    )


def columns_without_bounds(footer: pq.FileMetaData) -> list[str]:
    """Return the columns with a date or timestamp that Python has no value for, by their paths.

    Args:
        footer: The footer of a Parquet file; without statistics, its columns are not known to.
    """
    found = []
    for index in range(footer.num_columns):
        column = footer.schema.column(index)
        if column.logical_type.type not in ("DATE", "TIMESTAMP"):
            continue
        try:
            for group in range(footer.num_row_groups):
                statistics = footer.row_group(group).column(index).statistics
                if statistics is not None and statistics.has_min_max:
                    _ = statistics.min, statistics.max
        except (OverflowError, ValueError):
            found.append(column.path)
    return found
