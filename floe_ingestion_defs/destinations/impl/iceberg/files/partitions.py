"""Partitions: which one each row belongs to, and the form in which an intent stores it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import DoubleType, FloatType, IntegerType, LongType, StructType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.types import NestedField, PrimitiveType

# The values in the order of the partition spec, each as the hex of Iceberg's single-value
# serialization, None for a null.
Partition: TypeAlias = tuple[str | None, ...]


def split_by_partition(
    metadata: TableMetadata, batch: pa.RecordBatch
) -> Iterator[tuple[Partition, pa.RecordBatch]]:
    """Return the rows per partition of the table's default spec, for partitions with rows."""
    spec = metadata.spec()
    if spec.is_unpartitioned():
        yield (), batch
        return
    schema = metadata.schema()
    values = []
    for field in spec.fields:
        transform = field.transform.pyarrow_transform(schema.find_type(field.source_id))
        name, *inner = path_of(schema.fields, field.source_id)
        column = batch.column(name)
        if inner:
            column = pc.struct_field(column, inner)
        if pa.types.is_large_binary(column.type):
            column = column.cast(pa.binary())  # pyiceberg does not truncate the large type.
        values.append(transform(column))
    names = [f"p{i}" for i in range(len(values))]
    keys = pa.table(values, names=names).append_column("row", pa.array(range(batch.num_rows)))
    for group in keys.group_by(names).aggregate([("row", "list")]).to_pylist():
        partition = encode_partition(metadata, [_internal_value(group[name]) for name in names])
        yield partition, batch.take(pa.array(group["row_list"]))


def path_of(fields: Iterable[NestedField], field_id: int) -> list[str]:
    """Return the names that lead to a field, more than one if it is in a struct.

    Args:
        fields: The fields of a schema or a struct.
        field_id: The field.

    Returns:
        Nothing if none of the fields is or contains it.
    """
    for field in fields:
        if field.field_id == field_id:
            return [field.name]
        type_ = field.field_type
        if isinstance(type_, StructType) and (inner := path_of(type_.fields, field_id)):
            return [field.name, *inner]
    return []


def _internal_value(value: Any) -> Any:
    """Return a partition value as Iceberg represents it: dates and times as integers."""
    from datetime import date, datetime, time

    from pyiceberg.utils.datetime import date_to_days, datetime_to_micros, time_to_micros

    if isinstance(value, datetime):
        return datetime_to_micros(value)
    if isinstance(value, date):
        return date_to_days(value)
    if isinstance(value, time):
        return time_to_micros(value)
    return value


def encode_partition(metadata: TableMetadata, values: Iterable[Any]) -> Partition:
    """Return partition values in the form that an intent stores."""
    return tuple(
        None if value is None else to_bytes(result_type, value).hex()
        for result_type, value in zip(_partition_types(metadata), values, strict=True)
    )


def decode_partition(metadata: TableMetadata, encoded: Iterable[str | None]) -> Record:
    """Return the partition record of encoded values."""
    return Record(
        *(
            None if value is None else decode_value(result_type, bytes.fromhex(value))
            for result_type, value in zip(_partition_types(metadata), encoded, strict=True)
        )
    )


def identity_values(metadata: TableMetadata, file: DataFile) -> dict[int, Any]:
    """Return the values that a file's partition gives to columns, by their field ids.

    The files of a table that was migrated from Hive do not have the columns that it is partitioned
    by, as the specification allows.
    """
    spec = metadata.specs().get(file.spec_id)
    return {
        field.source_id: file.partition[position]
        for position, field in enumerate(spec.fields if spec else ())
        if isinstance(field.transform, IdentityTransform)
    }


def as_scalar(value: Any, arrow_type: pa.DataType) -> pa.Scalar:
    """Return a partition value, in Iceberg's own representation, as an Arrow scalar."""
    if isinstance(value, UUID):
        return pa.scalar(value.bytes, pa.binary(16)).cast(arrow_type)
    return pa.scalar(value, arrow_type)


def decode_value(value_type: PrimitiveType, value: bytes) -> Any:
    """Return the value of an Iceberg single-value serialization.

    A value that was written before its column was promoted has the narrow type, which pyiceberg
    supports since 0.12.
    """
    narrow = {LongType: IntegerType(), DoubleType: FloatType()}.get(type(value_type))
    return from_bytes(narrow if narrow and len(value) == 4 else value_type, value)


def _partition_types(metadata: TableMetadata) -> list[PrimitiveType]:
    """Return the types of the table's partition values, in the order of its default spec."""
    schema = metadata.schema()
    return [
        field.transform.result_type(schema.find_type(field.source_id))  # type: ignore[misc]
        for field in metadata.spec().fields
    ]
