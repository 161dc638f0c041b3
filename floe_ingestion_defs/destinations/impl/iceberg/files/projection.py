"""Projection: a data file's columns in the table's current columns and types, by their field ids.

pyiceberg's own reader holds a whole file in memory and makes an empty list of a null one of
structs (iceberg-python issue 3833), which a merge would then write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.types import ListType, MapType, StructType

if TYPE_CHECKING:
    from pyiceberg.types import IcebergType


def project(
    values: pa.Array, source: IcebergType, target: IcebergType, arrow_type: pa.DataType
) -> pa.Array:
    """Return values of a file in the type that the table has now.

    Args:
        values: The values as they are in the file.
        source: Their Iceberg type, with the file's field ids.
        target: The Iceberg type of the table's column.
        arrow_type: The same as an Arrow type.
    """
    if isinstance(target, StructType) and isinstance(source, StructType):
        return _project_struct(values, source, target, arrow_type)
    if isinstance(target, ListType) and isinstance(source, ListType):
        return _project_list(values, source, target, arrow_type)
    if isinstance(target, MapType) and isinstance(source, MapType):
        keys = project(values.keys, source.key_type, target.key_type, arrow_type.key_type)
        items = project(values.items, source.value_type, target.value_type, arrow_type.item_type)
        fields = [arrow_type.key_field, arrow_type.item_field]
        return _with_children(
            values, arrow_type, pa.StructArray.from_arrays([keys, items], fields=fields)
        )
    return values.cast(arrow_type)


def _project_struct(
    values: pa.Array, source: StructType, target: StructType, arrow_type: pa.DataType
) -> pa.Array:
    present = {field.field_id: field for field in source.fields}
    children = []
    for field, child in zip(target.fields, arrow_type, strict=True):
        if (found := present.get(field.field_id)) is None:
            children.append(pa.nulls(len(values), child.type))
            continue
        column = values.field(values.type.get_field_index(found.name))
        children.append(project(column, found.field_type, field.field_type, child.type))
    return pa.StructArray.from_arrays(children, fields=list(arrow_type), mask=values.is_null())


def _project_list(
    values: pa.Array, source: ListType, target: ListType, arrow_type: pa.DataType
) -> pa.Array:
    if pa.types.is_fixed_size_list(values.type):
        values = values.cast(pa.list_(values.type.value_field))
    elements = project(
        values.values, source.element_type, target.element_type, arrow_type.value_type
    )
    is_large = pa.types.is_large_list(values.type)
    made = pa.large_list(arrow_type.value_field) if is_large else pa.list_(arrow_type.value_field)
    return _with_children(values, made, elements).cast(arrow_type)


def _with_children(values: pa.Array, arrow_type: pa.DataType, children: Any) -> pa.Array:
    """Return lists or maps of the same lengths, null where they were null, of other elements."""
    own = values.buffers()[:2]
    return pa.Array.from_buffers(
        arrow_type, len(values), own, offset=values.offset, children=[children]
    )
