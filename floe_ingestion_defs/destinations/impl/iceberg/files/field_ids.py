"""Iceberg's field ids in Parquet files, which identify the table's column of each column.

The specification requires writers to set them. dlt does not, so they are written into the footer of
its files while those are staged; the pages are not changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.schema import index_by_name
from pyiceberg.types import ListType, MapType, StructType

from floe_ingestion_defs.destinations.impl.iceberg.files.parquet_footer import (
    MAGIC,
    TAIL_BYTES,
    InvalidFooter,
    SchemaElement,
    join_footer,
    split_footer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField


@dataclass(frozen=True)
class Footer:
    """The end of a Parquet file, with the field ids of a table.

    Attributes:
        start: The offset of the footer in the file whose pages it describes, in bytes.
        content: What follows the pages: the footer, its length and the magic bytes.
    """

    start: int
    content: bytes


def footer_with_field_ids(parquet: pq.ParquetFile, path: Path, schema: Schema) -> Footer | None:
    """Return a local file's footer with the table's field ids.

    Args:
        parquet: The file, opened.
        path: The file.
        schema: The table's schema, whose columns are found by their names.

    Returns:
        None where the file must be rewritten instead: its columns are not nested as the table's
        are, or its footer is signed or of an unknown kind.
    """
    with path.open("rb") as file:
        end = file.seek(-TAIL_BYTES, 2)
        tail = file.read()
        length = int.from_bytes(tail[:4], "little")
        # A signed footer is longer than its content, and would be invalid once changed.
        if tail[4:] != MAGIC or length > end or length != parquet.metadata.serialized_size:
            return None
        file.seek(end - length)
        footer = file.read(length)
    try:
        before, elements, after = split_footer(footer)
        _assign_root(iter(elements), schema)
    except (InvalidFooter, UnicodeDecodeError):
        return None
    changed = join_footer(before, elements, after)
    return Footer(end - length, changed + len(changed).to_bytes(4, "little") + MAGIC)


def _assign_root(elements: Iterator[SchemaElement], schema: Schema) -> None:
    root = _next(elements)
    root.set_field_id(None)
    _assign_fields(root, elements, schema.as_struct())
    if next(elements, None) is not None:
        msg = "elements beside the root"
        raise InvalidFooter(msg)


def _assign_fields(
    group: SchemaElement, elements: Iterator[SchemaElement], struct: StructType
) -> None:
    if not group.num_children:
        msg = f"`{group.name}` is a column, and a struct in the table"
        raise InvalidFooter(msg)
    fields = {field.name: field for field in struct.fields}
    for _ in range(group.num_children):
        element = _next(elements)
        if element.name not in fields:
            msg = f"`{element.name}` is not a column of the table"
            raise InvalidFooter(msg)
        _assign(element, elements, fields.pop(element.name))


def _assign(element: SchemaElement, elements: Iterator[SchemaElement], field: NestedField) -> None:
    element.set_field_id(field.field_id)
    match field.field_type:
        case StructType() as struct:
            _assign_fields(element, elements, struct)
        case ListType() as list_type:
            _enter(element, elements, "list", 1)
            _assign(_next(elements, "element"), elements, list_type.element_field)
        case MapType() as map_type:
            _enter(element, elements, "key_value", 2)
            _assign(_next(elements, "key"), elements, map_type.key_field)
            _assign(_next(elements, "value"), elements, map_type.value_field)
        case _:
            if element.num_children:
                msg = f"`{element.name}` is nested, and not in the table"
                raise InvalidFooter(msg)


def _enter(
    element: SchemaElement, elements: Iterator[SchemaElement], name: str, children: int
) -> None:
    """Skip the repeated group of a list or a map, which has no id.

    Older writers name and nest these differently, and statistics are looked up by these names.
    """
    if element.num_children != 1:
        msg = f"`{element.name}` is not nested as the specification of Parquet requires"
        raise InvalidFooter(msg)
    group = _next(elements, name)
    if group.num_children != children:
        msg = f"`{element.name}` is not nested as the specification of Parquet requires"
        raise InvalidFooter(msg)
    group.set_field_id(None)


def _next(elements: Iterator[SchemaElement], name: str | None = None) -> SchemaElement:
    element = next(elements, None)
    if element is None or (name is not None and element.name != name):
        msg = "the schema is not a tree of named elements"
        raise InvalidFooter(msg)
    return element


def ids_agree(file_schema: pa.Schema, schema: Schema) -> bool:
    """Return whether a file's columns have the ids of the table's columns with these names.

    Those of a file that was staged before the table got its current columns may not: another load
    added one first, or the table was dropped and created again.
    """
    try:
        found = index_by_name(pyarrow_to_schema(file_schema, downcast_ns_timestamp_to_us=True))
    except ValueError:
        return False  # Some have no ids, as in files that an earlier version staged.
    ids = index_by_name(schema)
    return all(ids.get(name) == field_id for name, field_id in found.items())
