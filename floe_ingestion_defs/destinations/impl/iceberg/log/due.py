"""Whether a committed load is still due for a table when its publisher comes to it.

A publisher can be suspended for any time between reading the log and a commit. Meanwhile the table
can have been replaced, the dataset dropped, or the load released to the quarantine table.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
from floe_ingestion_defs.destinations.impl.iceberg.errors import UnpublishableRows
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    LOG_UUID,
    PUBLISHED_LOAD_UID,
    PUBLISHED_SEQ,
    SUMMARY_LOAD_UID,
    SUMMARY_LOG_UUID,
    SUMMARY_SEQ,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import (
    log_of,
    publishers_of,
    watermark_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.intent import Release, TableIntent
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load

logger = logging.getLogger(__name__)

# A publisher that found its loads in the log longer ago than this looks them up again.
LOOK_UP_AGAIN_SECONDS = 10.0


def is_due(
    dataset: Dataset,
    log_uuid: str,
    load: Load,
    intent: TableIntent,
    table: Table | None,
    read: Since,
    *,
    is_confirmed: bool = False,
) -> bool:
    """Return whether the intent is for the table that exists now, or creates one.

    Args:
        dataset: The dataset.
        log_uuid: The log that the load is in.
        load: The load, which is not published to the table.
        intent: What it does to the table.
        table: The table as it is now, None where there is none.
        read: When the load was found in the log.
        is_confirmed: Whether the load was committed, or found in the log, just now.

    Raises:
        UnpublishableRows: Another writer created the table after the load was staged.
    """
    name = dataset.qualified(intent.table)
    is_same = table is not None and intent.table_uuid in (None, str(table.metadata.table_uuid))
    is_own = False
    if table is not None:
        log = log_of(table)
        # Where the uuid differs, an earlier load created the table and the catalog chose its uuid.
        is_own = log == log_uuid or (is_same and log is None)
        if is_own and read.seconds < LOOK_UP_AGAIN_SECONDS:
            return True
    elif not intent.creates and not load.intent.releases:
        return False
    elif is_confirmed:
        return True
    view = dataset.log.peek()
    is_pending = (
        view is not None
        and view.uuid == log_uuid
        and view.is_pending(load.seq, intent.tree)
        and not view.is_released(load.seq, intent.table)
    )
    if is_pending and (table is None or is_same or is_own):
        return True
    if is_pending:
        msg = f"`{name}` was created by another writer after the load was staged"
        raise UnpublishableRows(msg)
    # The dataset, its log or the table was dropped, or the load released, after this publisher had
    # read the log.
    logger.warning(
        "Load %s is not published to %s, which was dropped, reloaded or released in the meantime: "
        "%s rows",
        load.load_id,
        name,
        intent.rows,
    )
    return False


def skip_released(dataset: Dataset, log_uuid: str, by: Load, loads: Iterable[Load]) -> bool:
    """Advance the watermarks of tables past the loads that another load releases.

    A publisher that read the log before the release may be about to commit to a table that is
    repaired by now. The snapshot, which has no rows, makes that commit conflict; the watermark
    tells the next attempt that there is nothing to do.

    Args:
        dataset: The dataset.
        log_uuid: The log that the release is in.
        by: The release.
        loads: Loads that may have been released.

    Returns:
        Whether a released load had been published after all, so that the quarantine table must
        not get its rows.
    """
    staged_on = {(x.seq, i.table): i.table_uuid for x in loads for i in x.intent.tables}
    published = False
    for release in by.intent.releases:
        table_uuid = staged_on.get((release.seq, release.table))
        published |= _pass_over(dataset, log_uuid, by, release, table_uuid)
    return published


def _pass_over(
    dataset: Dataset, log_uuid: str, by: Load, release: Release, table_uuid: str | None
) -> bool:
    def attempt() -> bool:
        table = dataset.load_table(release.table)
        if table is None:
            return False
        log = log_of(table)
        if log != log_uuid and (log is not None or table_uuid != str(table.metadata.table_uuid)):
            return False
        if was_published(table, log_uuid, release, by):
            return True
        if by.load_uid not in publishers_of(table, log_uuid, release.seq):
            summary = {
                SUMMARY_LOG_UUID: log_uuid,
                SUMMARY_SEQ: str(release.seq),
                SUMMARY_LOAD_UID: by.load_uid,
            }
            watermark = {
                LOG_UUID: log_uuid,
                PUBLISHED_SEQ: str(release.seq),
                PUBLISHED_LOAD_UID: by.load_uid,
            }
            with table.transaction() as transaction:
                add_snapshot(transaction, (), summary=summary)
                if watermark_of(table, log_uuid) < release.seq:
                    transaction.set_properties(watermark)
        return False

    name = dataset.qualified(release.table)
    return commit_certainly(f"Skipping released load {release.seq} of the log in {name}", attempt)


def was_published(table: Table, log_uuid: str, release: Release, by: Load) -> bool:
    """Return whether a load was published to a table although it was released.

    Args:
        table: The table.
        log_uuid: The log that the load is in.
        release: Names the load.
        by: The load that has the release, which itself advances the watermark.
    """
    return bool(publishers_of(table, log_uuid, release.seq) - {by.load_uid})
