"""Row versions of Arrow tables, with which scd2 detects whether a row has changed.

dlt hashes rows that are dicts into `_dlt_id`, but adds no such column to Arrow tables; its
normalizer then fails for lack of a required column. Here they get the same column, with the same
digest.
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
    """Adds a version to each row of an Arrow table; returns any other item unchanged."""

    # After the contract, which does not know the column, and may drop values.
    placement_affinity: ClassVar[float] = 3

    def __init__(self) -> None:
        super().__init__(lambda item: item)

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the item, with row versions."""
        if isinstance(item, list):
            # An empty list may be dlt's mark of a load without rows, which a copy is not.
            return [self(each) for each in item] if item else item
        if isinstance(item, pa.RecordBatch):
            item = pa.Table.from_batches([item])
        if not isinstance(item, pa.Table) or _VERSION in item.column_names:
            return item
        field = pa.field(_VERSION, pa.string(), nullable=False)
        return item.append_column(field, row_versions(item))


def row_versions(table: pa.Table) -> pa.Array:
    """Return a digest of each row's values.

    It does not depend on the order of the columns or on columns that are null, so a column that is
    added to the source does not change the version of rows that have no value in it.
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
            pass  # Python's string works as well, but is slower.
    texts = [
        None if value is None else json.dumps(value, default=repr, sort_keys=True)
        for value in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


def version_rows(resource: DltResource, spec: ResourceSpec) -> None:
    """Add row versions to a resource that is loaded with scd2, for rows of any type."""
    if spec.write_mode == "merge" and spec.merge_strategy == "scd2":
        resource.add_step(RowVersions())
