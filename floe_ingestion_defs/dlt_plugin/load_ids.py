"""The column `_dlt_load_id` of Arrow tables: which load a row is from.

dlt adds it to rows that are dicts. For Arrow tables it would read and write each file once more;
here the column is added during extraction. A dictionary of one value would take less memory, but
the destination cannot take over the pages of a file whose type for a column is not the table's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import dlt
import pyarrow as pa
from dlt.common.libs.pyarrow import add_constant_column
from dlt.extract.items_transform import MapItem

from floe_ingestion_defs.dlt_plugin.steps import is_arrow

if TYPE_CHECKING:
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

LOAD_ID = "_dlt_load_id"
_PARENT_KEY = "_dlt_parent_id"


class LoadIds(MapItem):
    """Adds the load's id to the rows of Arrow tables; returns any other item unchanged."""

    # After the row versions, which do not depend on it.
    placement_affinity: ClassVar[float] = 4

    def __init__(self) -> None:
        super().__init__(_with_load_id)


def _with_load_id(item: Any) -> Any:
    # As in dlt, a nested row has the key of its parent instead.
    if not is_arrow(item) or {LOAD_ID, _PARENT_KEY} & {*item.schema.names}:
        return item
    if not item.num_rows:
        # With a dictionary without values, the table of an empty source is not created.
        return item.append_column(LOAD_ID, pa.nulls(0, pa.string()))
    load_id = dlt.current.load_package_state()["load_id"]
    return add_constant_column(item, LOAD_ID, pa.string(), load_id, use_dictionary=False)


def add_load_ids(resource: DltResource, spec: ResourceSpec) -> None:
    """Add the load's id to the rows of a resource, unless its setting leaves it out."""
    if spec.add_load_id:
        resource.add_step(LoadIds())
