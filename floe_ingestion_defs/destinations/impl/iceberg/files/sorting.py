"""The order of the rows within a data file, as the table's sort order defines it."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, NullOrder, SortDirection, SortOrder
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DoubleType, FloatType

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata


def default_sort_order(metadata: TableMetadata) -> SortOrder:
    """Return the sort order that the table specifies for new files."""
    return metadata.sort_order_by_id(metadata.default_sort_order_id) or UNSORTED_SORT_ORDER


def is_sorted(metadata: TableMetadata) -> bool:
    """Return whether the table specifies sorted files."""
    return metadata.default_sort_order_id != 0


def sort_keys(metadata: TableMetadata) -> list[tuple[str, str, str]]:
    """Return column, direction and null placement of each key of the table's sort order.

    Arrow does not sort by a field of a struct, so the keys end before another engine's order by it.
    """
    names = {field.field_id: field.name for field in metadata.schema().fields}
    columns = takewhile(lambda key: key.source_id in names, default_sort_order(metadata).fields)
    return [
        (
            names[key.source_id],
            "ascending" if key.direction == SortDirection.ASC else "descending",
            "at_start" if key.null_order == NullOrder.NULLS_FIRST else "at_end",
        )
        for key in columns
    ]


def order_of_sorted_rows(metadata: TableMetadata) -> int | None:
    """Return the id of the sort order of rows that were sorted by `sort_keys`, None for none.

    Engines rely on a file's sort order and skip sorting. So it is not declared where sorting by the
    columns themselves may differ from it: another engine's order by a transform of a column, by a
    field of a struct, or by floating-point numbers, where Arrow puts NaN beside the nulls and
    Iceberg above all numbers.
    """
    order, schema = default_sort_order(metadata), metadata.schema()
    is_exact = len(sort_keys(metadata)) == len(order.fields) and all(
        isinstance(field.transform, IdentityTransform)
        and not isinstance(schema.find_type(field.source_id), FloatType | DoubleType)
        for field in order.fields
    )
    return order.order_id if order.fields and is_exact else None
