"""Rows of a quarantine table that were published after all.

A release advances the watermark of the table that it is for, so that a publisher that was suspended
in its commit does not publish the released rows. Where the releasing process cannot write to the
table, the publisher may, and then the rows are in both. The snapshots of both tables name the
load's seq, so this is found at any later time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    BLOCKED_SUFFIX,
    SUMMARY_LOAD_UID,
    SUMMARY_LOG_UUID,
    SUMMARY_RELEASED_SEQ,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import publishers_of

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

logger = logging.getLogger(__name__)


def remove_published(dataset: Dataset, log_uuid: str, table: str) -> int:
    """Remove the rows that a table has from its quarantine table.

    Args:
        dataset: The dataset.
        log_uuid: The log that the loads are in.
        table: The table's name, without its namespace.

    Returns:
        The number of rows that were removed.
    """
    name = dataset.qualified(table + BLOCKED_SUFFIX)

    def attempt() -> int:
        quarantine = dataset.load_table(table + BLOCKED_SUFFIX)
        published = dataset.load_table(table) if quarantine is not None else None
        if quarantine is None or published is None:
            return 0
        both = _published_after_all(quarantine, published, log_uuid)
        snapshot = quarantine.current_snapshot() if both else None
        removed = [
            entry.data_file
            for manifest in (snapshot.manifests(quarantine.io) if snapshot else ())
            for entry in manifest.fetch_manifest_entry(quarantine.io, discard_deleted=True)
            if entry.snapshot_id in both
        ]
        if removed:
            with quarantine.transaction() as transaction:
                add_snapshot(transaction, (), removed)
        return sum(file.record_count for file in removed)

    removed = commit_certainly(f"Removing rows that were published from {name}", attempt)
    if removed:
        logger.warning("%s rows were published after all and are removed from %s", removed, name)
    return removed


def _published_after_all(quarantine: Table, published: Table, log_uuid: str) -> set[int]:
    """Return the snapshots of a quarantine table whose rows its table has, too."""
    found = set()
    for snapshot in quarantine.metadata.snapshots:
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        if SUMMARY_RELEASED_SEQ not in summary or summary.get(SUMMARY_LOG_UUID) != log_uuid:
            continue
        publishers = publishers_of(published, log_uuid, int(summary[SUMMARY_RELEASED_SEQ]))
        if publishers - {summary[SUMMARY_LOAD_UID]}:
            found.add(snapshot.snapshot_id)
    return found
