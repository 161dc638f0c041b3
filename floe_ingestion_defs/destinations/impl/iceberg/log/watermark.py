"""A table's watermark: the load that the table is published through.

It is stored in table properties, and in the summary of each snapshot that a load committed, since
other engines can unset properties. A rollback of the table changes neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.catalog.replace_snapshot import is_replacement
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    LOG_UUID,
    PUBLISHED_LOAD_UID,
    PUBLISHED_SEQ,
    PUBLISHED_SNAPSHOT,
    SUMMARY_LOAD_ID,
    SUMMARY_LOAD_UID,
    SUMMARY_LOG_UUID,
    SUMMARY_SEQ,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


def watermark_of(table: Table | None, log_uuid: str) -> int:
    """Return the seq that a table is published through, 0 if it does not belong to this log."""
    if table is None:
        return 0
    properties = table.properties
    if properties.get(LOG_UUID) == log_uuid and PUBLISHED_SEQ in properties:
        return int(properties[PUBLISHED_SEQ])
    return max((seq for seq, _ in _published(table, log_uuid)), default=0)


def publishers_of(table: Table, log_uuid: str, seq: int) -> set[str]:
    """Return the uids of the loads that brought a table to a seq.

    That is the load with that seq, the one that released it for the table, or none.
    """
    uids = {
        _summary(snapshot)[SUMMARY_LOAD_UID]
        for published, snapshot in _published(table, log_uuid)
        if published == seq and SUMMARY_LOAD_UID in _summary(snapshot)
    }
    properties = table.properties
    if properties.get(LOG_UUID) == log_uuid and properties.get(PUBLISHED_SEQ) == str(seq):
        uids |= {uid for uid in (properties.get(PUBLISHED_LOAD_UID),) if uid is not None}
    return uids


def has_load(table: Table, log_uuid: str, load_uid: str) -> bool:
    """Return whether a load was published to the table, as long as its snapshot is not expired."""
    properties = table.properties
    return (
        properties.get(LOG_UUID) == log_uuid and properties.get(PUBLISHED_LOAD_UID) == load_uid
    ) or any(
        _summary(snapshot).get(SUMMARY_LOAD_UID) == load_uid
        for _, snapshot in _published(table, log_uuid)
    )


def watermark_summary(table: Table) -> dict[str, str]:
    """Return the summary entries by which a snapshot of maintenance carries the watermark on.

    The snapshots of loads expire, and other engines can unset properties. There is no load id, as
    the snapshot publishes none.
    """
    log_uuid = log_of(table)
    if log_uuid is None:
        return {}
    seq = watermark_of(table, log_uuid)
    summary = {SUMMARY_LOG_UUID: log_uuid, SUMMARY_SEQ: str(seq)}
    if publishers := publishers_of(table, log_uuid, seq):
        summary[SUMMARY_LOAD_UID] = min(publishers)
    return summary


def last_change(table: Table) -> Snapshot | None:
    """Return the newest snapshot of `main` that changed rows, None where there is none.

    Where all that changed rows are expired, it is the oldest one that is left.
    """
    snapshot = None
    for snapshot in _history(table):
        if not is_replacement(snapshot):
            return snapshot
    return snapshot


def log_of(table: Table) -> str | None:
    """Return the uuid of the log that the table was last published from, None for no log."""
    if found := table.properties.get(LOG_UUID):
        return str(found)
    summaries = (_summary(snapshot) for snapshot in reversed(table.metadata.snapshots))
    return next((s[SUMMARY_LOG_UUID] for s in summaries if SUMMARY_LOG_UUID in s), None)


def was_rolled_back(table: Table) -> bool:
    """Return whether the snapshot that was published last is not in the history of `main`.

    This is so after a rollback, or another engine's `CREATE OR REPLACE`. It can no longer be
    detected once that snapshot is expired, or those are by which `main` may have reached it.
    """
    snapshot_id = table.properties.get(PUBLISHED_SNAPSHOT)
    published = table.metadata.snapshot_by_id(int(snapshot_id)) if snapshot_id else None
    if published is None:
        return False
    oldest = None
    for oldest in _history(table):
        if oldest.snapshot_id == published.snapshot_id:
            return False
        if _order(oldest) < _order(published):
            return True
    # An expiry by pyiceberg removes the id of the parent, too.
    return oldest is None or (oldest.parent_snapshot_id is None and _replaced_all(oldest))


def rolled_back_loads(table: Table, log_uuid: str) -> list[str]:
    """Return the ids of the loads that were published to the table and removed by a rollback.

    As long as their snapshots are not expired, and no snapshot since has replaced all files.
    """
    kept: list[Snapshot] = []
    for snapshot in _history(table):
        kept.append(snapshot)
        if not is_replacement(snapshot) and _replaced_all(snapshot):
            break
    oldest = min((snapshot.sequence_number or 0 for snapshot in kept), default=0)
    history = {snapshot.snapshot_id for snapshot in kept}
    return [
        str(_summary(snapshot)[SUMMARY_LOAD_ID])
        for _, snapshot in sorted(_published(table, log_uuid), key=lambda found: found[0])
        if SUMMARY_LOAD_ID in _summary(snapshot)  # Not one that only passed over a load.
        and snapshot.snapshot_id not in history
        and (snapshot.sequence_number or 0) > oldest
    ]


def has_in_history(table: Table, load_id: str) -> bool:
    """Return whether a load with that id is in the history of `main`."""
    return any(_summary(snapshot).get(SUMMARY_LOAD_ID) == load_id for snapshot in _history(table))


def _published(table: Table, log_uuid: str) -> Iterator[tuple[int, Snapshot]]:
    for snapshot in table.metadata.snapshots:
        summary = _summary(snapshot)
        if summary.get(SUMMARY_LOG_UUID) == log_uuid:
            yield int(summary[SUMMARY_SEQ]), snapshot


def _history(table: Table) -> Iterator[Snapshot]:
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    head = table.metadata.refs.get("main")
    snapshot = by_id.get(head.snapshot_id) if head else None
    while snapshot is not None:
        yield snapshot
        parent = snapshot.parent_snapshot_id
        snapshot = by_id.get(parent) if parent is not None else None


def _replaced_all(snapshot: Snapshot) -> bool:
    """Return whether a table has no files from before a snapshot."""
    summary = _summary(snapshot)
    return summary.get("total-data-files") == summary.get("added-data-files", "0")


def _order(snapshot: Snapshot) -> tuple[int, int]:
    """Return what grows along a history; in format v1, snapshots have no sequence numbers."""
    return snapshot.sequence_number or 0, snapshot.timestamp_ms


def _summary(snapshot: Snapshot) -> dict[str, str]:
    return snapshot.summary.additional_properties if snapshot.summary else {}
