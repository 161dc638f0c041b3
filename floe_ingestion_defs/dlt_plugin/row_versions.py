"""Versions of rows that come as Arrow tables, by which scd2 tells whether a row has changed.

dlt hashes rows that are dicts into `_dlt_id`, and leaves Arrow tables without one; its normalizer
then misses a column that may not be null. Here they get the same column, by the same digest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.utils import digest128
from dlt.extract.items_transform import ItemTransform

if TYPE_CHECKING:
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_VERSION = "_dlt_id"
_OF_A_NAME, _OF_A_COLUMN = "\x1f", "\x1e"


class RowVersions(ItemTransform[Any]):
    """Adds a version to each row of an Arrow table; lets everything else through."""

    # After the contract, which does not know the column, and may drop values.
    placement_affinity: ClassVar[float] = 3

    def __init__(self) -> None:
        super().__init__(lambda item: item)

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the item with versions."""
        if isinstance(item, list):
            return [self(each) for each in item]
        if isinstance(item, pa.RecordBatch):
            item = pa.Table.from_batches([item])
        if not isinstance(item, pa.Table) or _VERSION in item.column_names:
            return item
        field = pa.field(_VERSION, pa.string(), nullable=False)
        return item.append_column(field, row_versions(item))


def row_versions(table: pa.Table) -> pa.Array:
    """Give a digest of each row's values.

    It does not depend on the order of the columns, and a column that is null leaves it as it is, so
    that one which is added to the source changes no row that has nothing in it.
    """
    names = sorted(name for name in table.column_names if not name.startswith("_dlt_"))
    if not names or not table.num_rows:
        return pa.array([digest128("")] * table.num_rows, pa.string())
    columns = [
        pc.binary_join_element_wise(name, _as_text(table[name].combine_chunks()), _OF_A_NAME)
        for name in names
    ]
    rows = pc.binary_join_element_wise(*columns, _OF_A_COLUMN, null_handling="skip")
    return pa.array([digest128(row) for row in rows.to_pylist()], pa.string())


def _as_text(column: pa.Array) -> pa.Array:
    if not pa.types.is_nested(column.type) and not pa.types.is_binary(column.type):
        try:
            return column.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass  # Python's text is as good, and slower.
    texts = [
        None if value is None else json.dumps(value, default=repr, sort_keys=True)
        for value in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


def version_rows(resource: DltResource, spec: ResourceSpec) -> None:
    """Let a resource that is loaded by scd2 have versions of its rows, however they come."""
    if spec.write_mode == "merge" and spec.merge_strategy == "scd2":
        resource.add_step(RowVersions())
