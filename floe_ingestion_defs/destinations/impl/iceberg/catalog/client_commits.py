"""Commits of catalogs whose client computes the new metadata: all but REST catalogs.

pyiceberg 0.12 computes them in one place, where three things are corrected:

- A table's time never goes back. Iceberg Java rejects a table whose metadata is older than its last
  snapshot, or than the metadata before it, by more than a minute. A worker's clock can be behind by
  more than that, and a commit that adds no snapshot gets the time of that clock.
- A commit that removes snapshots conflicts with a branch or tag that refers to one of them.
  Otherwise one that another writer has just created would be dropped without an error.
- The history is not copied; see `shared_history`.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.destinations.impl.iceberg.catalog.shared_history import share_history

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import StagedTable, Table
    from pyiceberg.table.update import TableRequirement, TableUpdate
    from pyiceberg.typedef import Identifier


def correct_commits(catalog: Catalog) -> Catalog:
    """Return the catalog, whose commits are corrected from now on."""
    from pyiceberg.catalog import MetastoreCatalog

    if not isinstance(catalog, MetastoreCatalog):
        return catalog
    stage = catalog._update_and_stage_table  # noqa: SLF001

    @wraps(stage)
    def stage_corrected(
        current_table: Table | None,
        table_identifier: Identifier,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> StagedTable:
        if current_table is not None:
            current_table.metadata = share_history(current_table.metadata)
            _require_no_refs(current_table, updates)
        staged = stage(current_table, table_identifier, requirements, updates)
        if current_table is not None:
            before, after = current_table.metadata, staged.metadata
            latest = max(before.last_updated_ms, after.last_updated_ms)
            staged.metadata = after.model_copy(update={"last_updated_ms": latest})
        return staged

    vars(catalog)["_update_and_stage_table"] = stage_corrected
    return catalog


def _require_no_refs(table: Table, updates: Iterable[TableUpdate]) -> None:
    """Raise a conflict if a branch or tag refers to a snapshot that is removed."""
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.update import RemoveSnapshotsUpdate

    removed: set[Any] = set()
    for update in updates:
        if isinstance(update, RemoveSnapshotsUpdate):
            removed.update(update.snapshot_ids)
    for name, ref in table.metadata.refs.items() if removed else ():
        if name != "main" and ref.snapshot_id in removed:
            msg = f"`{name}` refers to snapshot {ref.snapshot_id}, which the commit would remove"
            raise CommitFailedException(msg)
