"""Arrow types of Parquet columns, compared with the types that a table's rows have."""

from __future__ import annotations

import pyarrow as pa

_FIELD_ID = b"PARQUET:field_id"

_NATIVE = {
    pa.bool_(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.date32(),
    pa.time64("us"), pa.timestamp("us"), pa.timestamp("us", "UTC"),
    pa.string(), pa.large_string(), pa.binary(), pa.large_binary(),
}  # fmt: skip


def reads_as(file_type: pa.DataType, table_type: pa.DataType) -> bool:
    """Return whether Iceberg reads a file's column as the table's type, promotions included."""
    if pa.types.is_nested(file_type):
        return _is_nested_alike(file_type, table_type) and all(
            reads_as(mine.type, theirs.type)
            for mine, theirs in zip(_children(file_type), _children(table_type), strict=True)
        )
    if not _is_native(file_type):
        return False
    return _plain(file_type) == _plain(table_type) or (file_type, table_type) in (
        (pa.int32(), pa.int64()),
        (pa.float32(), pa.float64()),
    )


def _is_nested_alike(file_type: pa.DataType, table_type: pa.DataType) -> bool:
    if pa.types.is_struct(file_type) and pa.types.is_struct(table_type):
        return [field.name for field in file_type] == [field.name for field in table_type]
    if pa.types.is_map(file_type):
        return bool(pa.types.is_map(table_type))
    return _is_list(file_type) and _is_list(table_type)


def _is_list(arrow_type: pa.DataType) -> bool:
    return bool(pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type))


def _children(arrow_type: pa.DataType) -> list[pa.Field]:
    if pa.types.is_map(arrow_type):
        return [arrow_type.key_field, arrow_type.item_field]
    if _is_list(arrow_type):
        return [arrow_type.value_field]
    return list(arrow_type) if pa.types.is_struct(arrow_type) else []


def _is_native(arrow_type: pa.DataType) -> bool:
    """Return whether a Parquet column of this Arrow type is as Iceberg's specification requires."""
    return (
        arrow_type in _NATIVE
        or pa.types.is_decimal128(arrow_type)
        or pa.types.is_fixed_size_binary(arrow_type)
    )


def _plain(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type without what Parquet does not store: large offsets and the name of UTC."""
    if pa.types.is_large_string(arrow_type):
        return pa.string()
    if pa.types.is_large_binary(arrow_type):
        return pa.binary()
    if pa.types.is_timestamp(arrow_type) and arrow_type.tz:
        return pa.timestamp(arrow_type.unit, "UTC")
    return arrow_type
