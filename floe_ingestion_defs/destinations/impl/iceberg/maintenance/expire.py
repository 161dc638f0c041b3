"""Expiring a table's snapshots, and deleting the files that only they refer to.

Loads expire snapshots of the tables that they change. This does it for tables that are rarely
loaded, by an age of the operator's choice, and frees storage at once. The metadata is committed
first: a process that is killed leaves files that nothing refers to, which the orphan sweep removes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from pyiceberg.table.update.snapshot import ExpireSnapshots

from floe_ingestion_defs.destinations.impl.iceberg.catalog.confinement import require_own
from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import DELETE_AFTER_SECONDS
from floe_ingestion_defs.destinations.impl.iceberg.commits.retention import (
    Retention,
    expired_snapshots,
    is_expiry_allowed,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitContention
from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOADS_TABLE
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import log_of
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import ExpiryOptions
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import Orphan, remove_orphans
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.references import (
    References,
    measure_files_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

logger = logging.getLogger(__name__)

# An expiry that loads keep from committing for so long is given up.
_COMMIT_SECONDS = 30.0


@dataclass
class ExpiryResult:
    """What an expiry did, or would do.

    Attributes:
        snapshots_before: The number of the table's snapshots.
        snapshots_expired: The number of those that expired.
        files_freed: The number of files that only those refer to, counted by a dry run.
        bytes_freed: The size of these files.
        obstacle: Why no snapshot of the table expires, None if they may.
        files: The names of all files that the expired snapshots refer to.
    """

    snapshots_before: int = 0
    snapshots_expired: int = 0
    files_freed: int = 0
    bytes_freed: int = 0
    obstacle: str | None = None
    files: References = field(default_factory=References, repr=False)


def expire(
    dataset: Dataset, table: str, options: ExpiryOptions | None = None, *, dry_run: bool = False
) -> ExpiryResult:
    """Expire snapshots of a table, in one commit that loads never wait for.

    Kept are the snapshots that a branch or a tag refers to or its retention keeps, and the one that
    the table's watermark depends on. Files are left; see `remove_expired_files`.

    Args:
        dataset: The dataset.
        table: The table's name, without its namespace.
        options: How long snapshots are kept.
        dry_run: Only count the snapshots, and the files that would be freed.

    Raises:
        DatasetRefused: This is a branch deployment, and the dataset is not its own.
    """
    if not dry_run:
        require_own(dataset.name)
    loaded = dataset.load_table(table)
    obstacle = _find_obstacle(table, loaded)
    if loaded is None or obstacle is not None:
        return ExpiryResult(obstacle=obstacle)
    options = options or ExpiryOptions()
    expired = expired_snapshots(loaded.metadata, _retention(loaded, options))
    result = ExpiryResult(len(loaded.metadata.snapshots), len(expired))
    if not expired:
        return result
    if dry_run:
        result.files_freed, result.bytes_freed = measure_files_of(loaded, expired)
        return result
    # Read before the commit, so that no load can come between the two for long.
    result.files.add_manifest_lists((loaded, snapshot.manifest_list) for snapshot in expired)
    planned = {snapshot.snapshot_id for snapshot in expired}
    name, uuid = dataset.qualified(table), loaded.metadata.table_uuid

    def attempt() -> None:
        now = dataset.load_table(table)
        if now is None or now.metadata.table_uuid != uuid or not is_expiry_allowed(now.metadata):
            return
        due = expired_snapshots(now.metadata, _retention(now, options))
        ids = [s.snapshot_id for s in due if s.snapshot_id in planned]
        if ids:
            with now.transaction() as transaction:
                ExpireSnapshots(transaction).by_ids(ids).commit()

    try:
        commit_certainly(f"Expiring snapshots of {name}", attempt, _COMMIT_SECONDS)
    except CommitContention as error:
        logger.info("The expiry of snapshots of %s was given up: %s", name, error)
        return ExpiryResult(result.snapshots_before)
    return result


def remove_expired_files(dataset: Dataset, results: Mapping[str, ExpiryResult]) -> list[Orphan]:
    """Delete the files that only expired snapshots refer to.

    A file is kept as `remove_orphans` keeps it: if it was written in the last day, if any snapshot
    refers to it that a table still has or that was current in the last day, or an unpublished load;
    and, with a doubt that names the table, while a table of another namespace, such as a clone,
    uses the folder.

    Args:
        dataset: The dataset.
        results: What `expire` returned, by the table's name.

    Returns:
        The files. Those without a doubt are deleted.
    """
    among = {name: found.files for name, found in results.items() if found.snapshots_expired}
    if not among:
        return []
    older_than = timedelta(seconds=DELETE_AFTER_SECONDS)
    return remove_orphans(dataset, older_than, dry_run=False, among=among)


def _retention(table: Table, options: ExpiryOptions) -> Retention:
    return Retention.of_table(table.metadata, options.older_than, options.min_snapshots)


def _find_obstacle(name: str, table: Table | None) -> str | None:
    if name.lstrip("_") == LOADS_TABLE.lstrip("_"):
        return "it is the dataset's log, which expires its own snapshots"
    if table is None:
        return "it does not exist"
    if not is_expiry_allowed(table.metadata):
        return "its property gc.enabled is false: it is a clone, or shares files with other tables"
    if log_of(table) is None:
        return "no load was published to it"
    return None
