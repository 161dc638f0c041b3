"""Converts Arrow batches to the types of a table, whatever types a file has.

Two files of the same table may have different types for a column: integers in one and nulls in the
other, or 32 bits in one and 64 in the other. Declared types take precedence, then those that the
table already has; all others are converted to the single Arrow type for each of dlt's types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.dlt_plugin.sources.nested_types import (
    FieldMismatch,
    cast_nested,
    extended,
    with_leaves,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# The limits of Iceberg: microseconds, and 38 digits.
_TIMESTAMP_UNIT = "us"
_LONGEST_DECIMAL = 38
NESTED_ADVICE = (
    "declare the column as json under `columns` before its first load, which stores it as JSON text"
)


class ColumnTypeMismatch(ValueError):
    """A column's values cannot be converted to the type of the table's column.

    Args:
        column: Name of the column, with the path inside of it.
        expected: Arrow type of the table; None if the table has no such field.
        found: Arrow type of the batch.
    """

    def __init__(self, column: str, expected: pa.DataType | None, found: pa.DataType) -> None:
        wanted = "which is new" if expected is None else f"which cannot be converted to {expected}"
        super().__init__(f"column {column!r} has {found}, {wanted}")
        self.column = column
        self.expected = expected
        self.found = found

    @property
    def is_nested(self) -> bool:
        """Whether it is a nested column or a field inside of one."""
        return "." in self.column or any(
            kind is not None and pa.types.is_nested(kind) for kind in (self.expected, self.found)
        )


def arrow_type(column: Mapping[str, Any], *, nested: bool = False) -> pa.DataType | None:
    """Return the Arrow type of a dlt column; None if the column has no data type yet.

    Args:
        column: The column.
        nested: Whether a column of structs, lists or maps has that type, instead of JSON strings.
    """
    if nested and (kind := column.get("x-nested-type")):
        from dlt.common.libs.pyarrow import deserialize_type

        return with_leaves(deserialize_type(kind), plain_type)
    match column.get("data_type"):
        case "text" | "json":
            return pa.string()
        case "double":
            return pa.float64()
        case "bool":
            return pa.bool_()
        case "bigint":
            return pa.int64()
        case "binary":
            return pa.binary()
        case "date":
            return pa.date32()
        case "time":
            return pa.time64(_TIMESTAMP_UNIT)
        case "timestamp":
            return pa.timestamp(_TIMESTAMP_UNIT, None if column.get("timezone") is False else "UTC")
        case "decimal":
            # dlt's default for a decimal without precision.
            if not (precision := column.get("precision")):
                return pa.decimal128(_LONGEST_DECIMAL, 9)
            return pa.decimal128(precision, column.get("scale", 0))
        case "wei":
            return pa.decimal128(_LONGEST_DECIMAL, 0)
        case _:
            return None


def conform(
    table: pa.Table,
    types: Mapping[str, pa.DataType],
    *,
    lenient: bool = False,
    nested: bool = False,
) -> pa.Table:
    """Return a table whose columns have the given types, and plain types elsewhere.

    Args:
        table: Rows as read.
        types: Required types of some or all columns, by name.
        lenient: Whether to keep columns that cannot be converted, for the contract to judge.
        nested: Whether nested values stay structs, lists and maps, which get the fields that the
            required types lack; otherwise they become JSON strings.

    Raises:
        ColumnTypeMismatch: Values of a column cannot be converted to the required type.
    """
    columns = []
    fields = []
    for field, column in zip(table.schema, table.columns, strict=True):
        plain = with_leaves(field.type, plain_type) if nested else plain_type(field.type)
        wanted = types.get(field.name) or plain
        if pa.types.is_nested(plain) and pa.types.is_nested(wanted):
            wanted = plain if lenient else extended(wanted, plain)
        if field.type != wanted:
            try:
                column = cast_column(field, column, wanted)
            except ColumnTypeMismatch:
                if not lenient:
                    raise
                wanted = plain
                column = cast_column(field, column, wanted)
        columns.append(column)
        fields.append(pa.field(field.name, wanted, nullable=field.nullable))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def plain_type(found: pa.DataType) -> pa.DataType:
    """Return the single Arrow type for all types that are the same to dlt and to Iceberg."""
    kinds = pa.types
    if kinds.is_dictionary(found):
        return plain_type(found.value_type)
    if kinds.is_large_string(found) or kinds.is_string_view(found) or kinds.is_nested(found):
        return pa.string()
    if kinds.is_large_binary(found) or kinds.is_binary_view(found):
        return pa.binary()
    if kinds.is_integer(found):
        return pa.decimal128(20, 0) if found == pa.uint64() else pa.int64()
    if kinds.is_floating(found):
        return pa.float64()
    if kinds.is_timestamp(found):
        return pa.timestamp(_TIMESTAMP_UNIT, None if found.tz is None else "UTC")
    if kinds.is_date(found):
        return pa.date32()
    if kinds.is_time(found):
        return pa.time64(_TIMESTAMP_UNIT)
    if kinds.is_decimal(found):
        return pa.decimal128(min(found.precision, _LONGEST_DECIMAL), found.scale)
    if isinstance(found, pa.BaseExtensionType):
        return plain_type(found.storage_type)
    return found


def cast_column(field: pa.Field, column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Cast one column without loss, except for the nanoseconds of timestamps.

    Args:
        field: The column's name and type.
        column: Its values.
        wanted: The type to cast to.

    Raises:
        ColumnTypeMismatch: Some of the values cannot be converted to that type.
    """
    try:
        if pa.types.is_nested(field.type):
            if wanted != pa.string():
                chunks = [
                    cast_nested(field.name, chunk, wanted, _cast_leaf) for chunk in column.chunks
                ]
                return pa.chunked_array(chunks, type=wanted)
            return pa.chunked_array([_as_json(chunk) for chunk in column.chunks], type=pa.string())
        if isinstance(field.type, pa.BaseExtensionType):
            column = column.cast(field.type.storage_type)
        if pa.types.is_timestamp(wanted) and not _is_number(column.type):
            return _as_timestamp(column, wanted)
        if pa.types.is_date(wanted) and pa.types.is_timestamp(field.type):
            return _as_date(column, wanted)
        if _changes_meaning(column.type, wanted):
            raise ColumnTypeMismatch(field.name, wanted, field.type)
        if pa.types.is_boolean(wanted) and _is_number(column.type):
            return _as_boolean(column)
        return column.cast(wanted)
    except FieldMismatch as mismatch:
        raise ColumnTypeMismatch(mismatch.path, mismatch.expected, mismatch.found) from None
    except pa.ArrowInvalid:
        raise ColumnTypeMismatch(field.name, wanted, field.type) from None
    except pa.ArrowNotImplementedError:
        raise ColumnTypeMismatch(field.name, wanted, field.type) from None


def _cast_leaf(path: str, values: pa.Array, wanted: pa.DataType) -> pa.Array:
    cast = cast_column(pa.field(path, values.type), pa.chunked_array([values]), wanted)
    return cast.combine_chunks()


def _is_number(kind: pa.DataType) -> bool:
    kinds = pa.types
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind))


def _changes_meaning(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether Arrow would cast values to others: a timestamp to microseconds or a time."""
    kinds = pa.types
    times = (kinds.is_timestamp, kinds.is_date, kinds.is_time)
    if any(is_kind(found) for is_kind in times):
        return _is_number(wanted) or (kinds.is_time(wanted) and not kinds.is_time(found))
    if kinds.is_boolean(found):
        return _is_number(wanted)
    return _is_number(found) and any(is_kind(wanted) for is_kind in times)


def _as_boolean(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast 0 and 1 to booleans; Arrow would cast every other number to true."""
    flags = column.cast(pa.bool_())
    if pc.any(pc.not_equal(flags.cast(pa.int8()).cast(column.type), column)).as_py():
        msg = "a number is neither 0 nor 1"
        raise pa.ArrowInvalid(msg)
    return flags


def _as_timestamp(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Cast to a timestamp; values without a time zone are taken as UTC, as dlt does with dicts."""
    found = column.type
    if pa.types.is_string(found) and wanted.tz is not None:
        # Arrow casts a string with an offset only to a type with a time zone, and a string without
        # one only to a type without.
        try:
            return column.cast(wanted)
        except pa.ArrowInvalid:
            column = column.cast(pa.timestamp(_TIMESTAMP_UNIT))
            found = column.type
    # Nanoseconds are truncated: Iceberg's format version 2 has none.
    if pa.types.is_timestamp(found) and found.tz is None and wanted.tz is not None:
        naive = column.cast(pa.timestamp(_TIMESTAMP_UNIT), safe=False)
        return pc.assume_timezone(naive, wanted.tz)
    if pa.types.is_timestamp(found) and found.tz is not None and wanted.tz is None:
        in_utc = column.cast(pa.timestamp(_TIMESTAMP_UNIT, "UTC"), safe=False)
        return pc.local_timestamp(in_utc)
    return column.cast(wanted, safe=not pa.types.is_timestamp(found))


def _as_date(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Cast timestamps at midnight to dates; Arrow would drop the time of the others."""
    in_utc = column.cast(pa.timestamp(_TIMESTAMP_UNIT), safe=False)
    dates = in_utc.cast(wanted)
    if pc.any(pc.not_equal(dates.cast(in_utc.type), in_utc)).as_py():
        msg = "a timestamp has a time"
        raise pa.ArrowInvalid(msg)
    return dates


def _as_json(values: pa.Array) -> pa.Array:
    from dlt.common.json import json

    return pa.array(
        [None if value is None else json.dumps(value) for value in values.to_pylist()],
        type=pa.string(),
    )
