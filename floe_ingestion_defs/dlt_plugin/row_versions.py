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
from dlt.extract.items_transform import MapItem

from floe_ingestion_defs.dlt_plugin.steps import as_table, is_arrow

if TYPE_CHECKING:
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_VERSION = "_dlt_id"
_OF_A_NAME, _OF_A_COLUMN = "\x1f", "\x1e"


class RowVersions(MapItem):
    """Adds a version to each row of an Arrow table; returns any other item unchanged."""

    # After the contract, which does not know the column, and may drop values.
    placement_affinity: ClassVar[float] = 3

    def __init__(self) -> None:
        super().__init__(_with_versions)


def _with_versions(item: Any) -> Any:
    if not is_arrow(item) or _VERSION in item.schema.names:
        return item
    table = as_table(item)
    field = pa.field(_VERSION, pa.string(), nullable=False)
    return table.append_column(field, row_versions(table))


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
