"""Recovery: publishing loads that a process committed and did not publish, and recording progress.

Opening a dataset reads state. It also publishes its own pipeline's loads, and those of others only
when they are so old that the process that committed them must have ended; its errors are not
fatal.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import watermark_of
from floe_ingestion_defs.destinations.impl.iceberg.publish import DETERMINISTIC_ERRORS, publish

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

logger = logging.getLogger(__name__)

RELEASE_COMMAND = (
    "Change the table back so that the rows fit, or move them to a quarantine table with "
    "`release_blocked`."
)

# A load of another pipeline is left to the process that committed it for this long.
OTHERS_AFTER = timedelta(minutes=5)


def open_dataset(dataset: Dataset, pipeline_name: str | None = None) -> LogView | None:
    """Open a dataset: read its log, and publish the pipeline's loads that are still unpublished.

    Args:
        dataset: The dataset.
        pipeline_name: The pipeline that opens the dataset, None for a reader.

    Returns:
        The log, None for a dataset that nothing was ever loaded into.

    Raises:
        UnknownLogFormat: A newer release wrote the log.
    """
    view = dataset.log.read()
    if view is None:
        return None
    for tree, seq in sorted(view.blocked.items()):
        logger.error(
            "Load %s of the log cannot be published to %s. %s",
            seq,
            dataset.qualified(tree),
            RELEASE_COMMAND,
        )
    latest = datetime.now(UTC) - OTHERS_AFTER
    unsettled = view.unsettled()
    due = [x for x in unsettled if x.pipeline_name == pipeline_name or x.committed_at < latest]
    if due:
        trees = {intent.tree for load in due for intent in load.intent.tables}
        recover(dataset, view, trees)
    return view


def recover(
    dataset: Dataset, view: LogView, trees: Collection[str] | None = None
) -> dict[str, Exception]:
    """Publish loads that are committed and not yet published; skip blocked trees of tables.

    Args:
        dataset: The dataset.
        view: The log.
        trees: Only the trees of tables with these roots; None for all.

    Returns:
        For each tree that could not be published, by its root, the error.
    """
    unsettled = view.unsettled()
    if not unsettled:
        return {}
    if trees is None:
        trees = {intent.tree for load in unsettled for intent in load.intent.tables}
    failed = publish(dataset, view.uuid, unsettled, set(trees) - view.blocked.keys())
    record(dataset, view, failed)
    return failed


def record(
    dataset: Dataset,
    view: LogView,
    failed: Mapping[str, Exception],
    freed: Collection[str] = (),
    published: Collection[int] = (),
    at_least: int = 1,
) -> None:
    """Record which loads are settled, and which trees of tables cannot be published.

    Args:
        dataset: The dataset.
        view: The log.
        failed: The trees that the caller could not publish, each with its error.
        freed: The trees that were blocked and are published now.
        published: Loads that the caller has just published completely, whose tables need no check.
        at_least: Do not record fewer newly settled loads than this, unless they are the last.
    """
    loads = view.unsettled()
    changes: dict[str, str | None] = dict.fromkeys(freed)
    for tree, error in failed.items():
        if tree not in view.blocked and isinstance(error, DETERMINISTIC_ERRORS):
            first = min(x.seq for x in loads if any(i.tree == tree for i in x.intent.tables))
            changes[tree] = f"{first} {type(error).__name__}"
    blocked = {*view.blocked, *changes} - set(freed)
    settled = settled_through(dataset, view, loads, blocked, published)
    gained = settled - view.settled_seq
    if changes or (gained and (settled == view.last_seq or gained >= at_least)):
        dataset.log.record(view, settled, changes)


def settled_through(
    dataset: Dataset,
    view: LogView,
    loads: Sequence[Load],
    blocked: Collection[str],
    published: Collection[int] = (),
) -> int:
    """Return the seq up to which every load is published, or recorded as blocked.

    Args:
        dataset: The dataset.
        view: The log.
        loads: Its unsettled loads.
        blocked: The roots of blocked trees, whose loads count as settled.
        published: Loads that the caller has just published whole, whose tables need no look.
    """
    settled = view.settled_seq
    released = {(r.seq, r.table) for load in loads for r in load.intent.releases}
    watermarks: dict[str, int] = {}
    for load in loads:
        for intent in load.intent.tables if load.seq not in published else ():
            if intent.tree in blocked or (load.seq, intent.table) in released:
                continue
            if intent.table not in watermarks:
                table = dataset.load_table(intent.table)
                # Nothing is pending for a table that was dropped and that the load does not create.
                gone = table is None and not intent.creates
                watermarks[intent.table] = load.seq if gone else watermark_of(table, view.uuid)
            if watermarks[intent.table] < load.seq:
                return settled
        settled = load.seq
    return settled
