"""What the steps of a resource have in common.

dlt calls each step with an item or with a list of items. An item is a row, as a dict, or an Arrow
table. A step that treats each item on its own is a `MapItem` of dlt, which leaves an empty list as
it is: that may be dlt's mark of a load without rows, which a copy is not.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import pyarrow as pa
from dlt.extract.hints import HintsMeta
from dlt.extract.items import TableNameMeta
from dlt.extract.items_transform import BaseItemTransform, ItemTransform


class Step(ItemTransform[Any]):
    """A step that treats the items of a list together, in `__call__`."""

    def __init__(self) -> None:
        BaseItemTransform.__init__(self)


def items_of(item: Any) -> list[Any]:
    """Return what dlt calls a step with as a list of items."""
    return item if isinstance(item, list) else [item]


def is_arrow(item: Any) -> TypeGuard[pa.Table | pa.RecordBatch]:
    """Return whether an item is an Arrow table, or a batch of one."""
    return isinstance(item, (pa.Table, pa.RecordBatch))


def as_table(item: pa.Table | pa.RecordBatch) -> pa.Table:
    """Return an Arrow table, or a batch, as a table."""
    return item if isinstance(item, pa.Table) else pa.Table.from_batches([item])


def table_named_by(meta: Any) -> str | None:
    """Return the table that an item names for itself; None for the resource's own."""
    if isinstance(meta, TableNameMeta):
        return meta.table_name
    if isinstance(meta, HintsMeta) and meta.create_table_variant:
        return str(meta.hints["table_name"])
    return None
