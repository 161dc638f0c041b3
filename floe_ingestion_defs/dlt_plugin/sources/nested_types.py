"""Nested Arrow types where `nested: native` is set: structs, lists and maps of plain types.

A type that a table already has is extended by the new fields of later values, and never replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable


class FieldMismatch(Exception):
    """A field inside of a column does not fit its type.

    Args:
        path: The column, and the fields down to that one.
        expected: Its type; None if it is new.
        found: The type of the values.
    """

    def __init__(self, path: str, expected: pa.DataType | None, found: pa.DataType) -> None:
        super().__init__(path)
        self.path = path
        self.expected = expected
        self.found = found


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is one of Arrow's lists."""
    kinds = pa.types
    return bool(
        kinds.is_list(kind)
        or kinds.is_large_list(kind)
        or kinds.is_fixed_size_list(kind)
        or kinds.is_list_view(kind)
        or kinds.is_large_list_view(kind)
    )


def with_leaves(kind: pa.DataType, leaf: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a type with other types of its leaves, without fields that have no type.

    Args:
        kind: The type. Of objects and lists that are all empty, nothing remains but null.
        leaf: Returns the type of a leaf by that which it has.
    """
    kinds = pa.types
    if kinds.is_struct(kind):
        inner = [(field.name, with_leaves(field.type, leaf)) for field in kind]
        fields = [(name, found) for name, found in inner if not kinds.is_null(found)]
        return pa.struct(fields) if fields else pa.null()
    if kinds.is_map(kind):
        key, value = with_leaves(kind.key_type, leaf), with_leaves(kind.item_type, leaf)
        return pa.null() if kinds.is_null(key) or kinds.is_null(value) else pa.map_(key, value)
    if is_list(kind):
        element = with_leaves(kind.value_type, leaf)
        return pa.null() if kinds.is_null(element) else pa.list_(element)
    return leaf(kind)


def is_untyped(kind: pa.DataType) -> bool:
    """Return whether a type has no values but nulls, and objects and lists without any value."""
    return bool(pa.types.is_null(with_leaves(kind, lambda leaf: leaf)))


def in_utc(kind: pa.DataType) -> pa.DataType:
    """Return a type whose timestamps without a time zone, at any depth, are in UTC."""

    def leaf(kind: pa.DataType) -> pa.DataType:
        return pa.timestamp("us", kind.tz or "UTC") if pa.types.is_timestamp(kind) else kind

    return with_leaves(kind, leaf)


def extended(known: pa.DataType, found: pa.DataType) -> pa.DataType:
    """Return a known type with the fields that only the found one has, at any depth."""
    kinds = pa.types
    if kinds.is_struct(known) and kinds.is_struct(found):
        others = {field.name: field.type for field in found}
        fields = [
            pa.field(field.name, extended(field.type, others.pop(field.name, field.type)))
            for field in known
        ]
        return pa.struct([*fields, *others.items()])
    if is_list(known) and is_list(found):
        return pa.list_(extended(known.value_type, found.value_type))
    if kinds.is_map(known) and kinds.is_map(found):
        return pa.map_(known.key_type, extended(known.item_type, found.item_type))
    if kinds.is_decimal(known) and kinds.is_decimal(found) and known.scale == found.scale:
        return max(known, found, key=lambda kind: kind.precision)
    return known


def cast_nested(
    path: str,
    values: pa.Array,
    wanted: pa.DataType,
    cast_leaf: Callable[[str, pa.Array, pa.DataType], pa.Array],
) -> pa.Array:
    """Return nested values in another type; fields that they lack are null.

    Args:
        path: Name of the column.
        values: Its values.
        wanted: The type.
        cast_leaf: Casts the values of a leaf, given its path, and raises for those that do not fit.

    Raises:
        FieldMismatch: The values are nested in another way, or have fields that the type lacks.
    """
    found = values.type
    if found == wanted:
        return values
    if values.null_count == len(values) or pa.types.is_null(wanted):
        return pa.nulls(len(values), wanted)
    if isinstance(found, pa.BaseExtensionType):
        return cast_nested(path, values.storage, wanted, cast_leaf)
    if pa.types.is_struct(found) and pa.types.is_struct(wanted):
        return _cast_struct(path, values, wanted, cast_leaf)
    if is_list(found) and is_list(wanted):
        items = cast_nested(f"{path}.element", values.flatten(), wanted.value_type, cast_leaf)
        return pa.ListArray.from_arrays(
            _offsets(pc.list_value_length(values)), items, type=wanted, mask=values.is_null()
        )
    if pa.types.is_map(found) and pa.types.is_map(wanted):
        entries = values.cast(pa.list_(pa.struct([found.key_field, found.item_field])))
        keys, items = entries.flatten().flatten()
        return pa.MapArray.from_arrays(
            _offsets(pc.list_value_length(entries)),
            cast_nested(f"{path}.key", keys, wanted.key_type, cast_leaf),
            cast_nested(f"{path}.value", items, wanted.item_type, cast_leaf),
            type=wanted,
            mask=values.is_null(),
        )
    if pa.types.is_nested(found) or pa.types.is_nested(wanted):
        raise FieldMismatch(path, wanted, found)
    return cast_leaf(path, values, wanted)


def _cast_struct(
    path: str,
    values: pa.Array,
    wanted: pa.DataType,
    cast_leaf: Callable[[str, pa.Array, pa.DataType], pa.Array],
) -> pa.Array:
    present = {
        field.name: child for field, child in zip(values.type, values.flatten(), strict=True)
    }
    if len(present) < values.type.num_fields:  # Some have the same name.
        raise FieldMismatch(path, wanted, values.type)
    children = []
    for field in wanted:
        child = present.pop(field.name, None)
        if child is None:
            children.append(pa.nulls(len(values), field.type))
        else:
            inner = f"{path}.{field.name}"
            children.append(cast_nested(inner, child, field.type, cast_leaf))
    for name, child in present.items():
        if child.null_count < len(child) and not is_untyped(child.type):
            inner = f"{path}.{name}"
            raise FieldMismatch(inner, None, child.type)
    return pa.StructArray.from_arrays(children, fields=list(wanted), mask=values.is_null())


def _offsets(lengths: pa.Array) -> pa.Array:
    """Return where each list begins in the items of all, and where the last one ends."""
    ends = pc.cumulative_sum(pc.fill_null(lengths, 0).cast(pa.int32()))
    return pa.concat_arrays([pa.array([0], pa.int32()), ends])
