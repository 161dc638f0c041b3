"""Table metadata whose time never goes back, where the client writes the metadata.

Iceberg Java rejects a table whose metadata is older than its last snapshot, or than the metadata
before it, by more than a minute. A worker's clock can be behind by more than that, and pyiceberg
0.12 gives a commit that adds no snapshot the time of that clock. A REST catalog writes the metadata
itself.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import StagedTable, Table


def keep_in_order(catalog: Catalog) -> Catalog:
    """Return the catalog, whose commits never set a table's time back from now on."""
    from pyiceberg.catalog import MetastoreCatalog

    if not isinstance(catalog, MetastoreCatalog):
        return catalog
    # The one place in which pyiceberg's catalogs compute what a commit writes.
    stage = catalog._update_and_stage_table  # noqa: SLF001

    @wraps(stage)
    def stage_in_order(current: Table | None, *arguments: Any, **keywords: Any) -> StagedTable:
        staged = stage(current, *arguments, **keywords)
        if current is not None:
            latest = max(current.metadata.last_updated_ms, staged.metadata.last_updated_ms)
            staged.metadata = staged.metadata.model_copy(update={"last_updated_ms": latest})
        return staged

    vars(catalog)["_update_and_stage_table"] = stage_in_order
    return catalog
