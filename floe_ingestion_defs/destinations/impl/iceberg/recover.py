"""Recovery: publishing loads that a process committed and did not publish, and recording progress.

Opening a dataset reads state. It also publishes its own pipeline's loads, and those of others only
when they are so old that the process that committed them must have ended; its errors are not
fatal.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from pyiceberg.exceptions import ForbiddenError

from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import DEFAULT_CATALOG_NAME
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    BLOCKING_ERRORS,
    DETERMINISTIC_ERRORS,
    ReadTooLongAgo,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import watermark_of
from floe_ingestion_defs.destinations.impl.iceberg.publish import Unpublished, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

logger = logging.getLogger(__name__)

# A load of another pipeline is left to the process that committed it for this long.
OTHERS_AFTER = timedelta(minutes=5)
# What fails for another reason than the rows, such as a missing permission, blocks a table after
# this time: until then, another process may succeed.
BLOCKED_AFTER = timedelta(hours=1)
_RECORD_ATTEMPTS = 3


def remedy(dataset: Dataset, reasons: Mapping[str, str]) -> str:
    """Return what the operator can do about blocked trees of tables, as a sentence.

    Args:
        dataset: The dataset.
        reasons: The names of the errors' classes, by the roots of the trees.
    """
    name = dataset.catalog.name
    command = "floe" if name == DEFAULT_CATALOG_NAME else f"floe --catalog {name}"
    commands = " and ".join(
        f"`{command} release {dataset.name} {tree} --yes`" for tree in sorted(reasons)
    )
    lacks_right = all(reason == ForbiddenError.__name__ for reason in reasons.values())
    change = (
        "Grant permission to write to the table"
        if lacks_right
        else "Change the table back so that the rows fit"
    )
    return (
        f"{change} and run the pipeline again, or move the rows to a quarantine table with "
        f"{commands}."
    )


def blocked_tables(dataset: Dataset, view: LogView | None = None) -> dict[str, str]:
    """Return why each blocked table of a dataset is blocked, with the remedy, by its name.

    Reading the log is all that it costs, however many loads are blocked.

    Args:
        dataset: The dataset.
        view: Its log, which is read by default.
    """
    view = view or dataset.log.read()
    if view is None:
        return {}
    return {
        tree: f"Load {seq} of the log cannot be published to {dataset.qualified(tree)} "
        f"({view.reason_of(tree)}). {remedy(dataset, {tree: view.reason_of(tree)})}"
        for tree, seq in sorted(view.blocked.items())
    }


def unpublished_loads(
    dataset: Dataset, view: LogView, tables: Mapping[str, Table | None]
) -> dict[str, str]:
    """Return which committed load each of some tables lacks, with the remedy, by its full name.

    A load that was committed in the last minutes is left to its process.

    Args:
        dataset: The dataset.
        view: Its log.
        tables: The tables by `namespace.table`; None for one that does not exist.
    """
    latest = datetime.now(UTC) - OTHERS_AFTER
    newest = {
        dataset.qualified(intent.table): load.seq
        for load in view.pending()
        if load.committed_at < latest
        for intent in load.intent.tables
        if view.is_pending(load.seq, intent.tree)
    }
    return {
        name: f"Load {newest[name]} of the log was committed and is not published to "
        f"{name}. Run the pipeline again, which publishes it."
        for name, table in tables.items()
        if newest.get(name, 0) > (watermark_of(table, view.uuid) if table is not None else 0)
    }


def open_dataset(
    dataset: Dataset,
    pipeline_name: str | None = None,
    beside: Callable[[Table], None] | None = None,
) -> LogView | None:
    """Open a dataset: read its log, and publish the pipeline's loads that are still unpublished.

    Args:
        dataset: The dataset.
        pipeline_name: The pipeline that opens the dataset, None for a reader.
        beside: Called with the log's table before its files are read.

    Returns:
        The log, None for a dataset that nothing was ever loaded into.

    Raises:
        UnknownLogFormat: A newer release wrote the log.
    """
    view = dataset.log.read(beside=beside)
    if view is None:
        return None
    for tree, seq in sorted(view.blocked.items()):
        logger.error(
            "Load %s of the log cannot be published to %s. %s",
            seq,
            dataset.qualified(tree),
            remedy(dataset, {tree: view.reason_of(tree)}),
        )
    latest = datetime.now(UTC) - OTHERS_AFTER
    through = {
        intent.tree: load.seq
        for load in view.unsettled()
        if load.pipeline_name == pipeline_name or load.committed_at < latest
        for intent in load.intent.tables
    }
    if through:
        _publish_through(dataset, view, through, pipeline_name)
    return view


def recover(dataset: Dataset, view: LogView) -> dict[str, Exception]:
    """Publish all loads that are committed and not yet published; skip blocked tables.

    Args:
        dataset: The dataset.
        view: The log.

    Returns:
        For each tree that could not be published, by its root, the error.
    """
    loads = view.unsettled()
    failed = _publish_through(
        dataset, view, {intent.tree: x.seq for x in loads for intent in x.intent.tables}
    )
    return {tree: failure.error for tree, failure in failed.items()}


def _publish_through(
    dataset: Dataset, view: LogView, through: Mapping[str, int], pipeline_name: str | None = None
) -> dict[str, Unpublished]:
    """Publish trees of tables, by their roots, through a load each, and record it."""
    unsettled = view.unsettled()
    free = {tree: seq for tree, seq in through.items() if tree not in view.blocked}
    failed = publish(dataset, view.uuid, unsettled, free)
    if unsettled:
        record(dataset, view, failed, pipeline_name=pipeline_name)
    return failed


def record(
    dataset: Dataset,
    view: LogView,
    failed: Mapping[str, Unpublished],
    freed: Mapping[str, int] = MappingProxyType({}),
    own: Load | None = None,
    pipeline_name: str | None = None,
    at_least: int = 1,
) -> LogView | None:
    """Record which loads are settled, and which trees of tables cannot be published.

    The caller may have slept since it published, and others have published, released or blocked
    loads meanwhile. What the log says now decides what of the outcome still holds.

    Args:
        dataset: The dataset.
        view: The log.
        failed: The trees that the caller could not publish, each with the load at which it stopped.
        freed: The trees that were blocked and are published now, each through a load.
        own: The caller's own load, whose tables need no check unless they have failed.
        pipeline_name: The caller's pipeline; its load is `own`, if it has just made one.
        at_least: Do not record fewer newly settled loads than this, unless they are the last.

    Returns:
        The log as it was read last, None if it no longer exists.
    """
    for _ in range(_RECORD_ATTEMPTS):
        loads = view.unsettled()
        now_free = {tree for tree, through in freed.items() if _is_free(view, tree, through)}
        changes: dict[str, str | None] = dict.fromkeys(now_free)
        for tree, failure in failed.items():
            if tree not in view.blocked and _still_blocks(dataset, view, failure, pipeline_name):
                changes[tree] = f"{failure.load.seq} {type(failure.error).__name__}"
        blocked = {*view.blocked, *changes} - now_free
        published = {own.seq} if own and not failed else set()
        settled = settled_through(dataset, view, loads, blocked, published)
        gained = settled - view.settled_seq
        if not changes and (not gained or (settled < view.last_seq and gained < at_least)):
            return view
        if dataset.log.record(view, settled, changes):
            return view
        moved = dataset.log.read()
        if moved is None or moved.uuid != view.uuid:
            return moved
        view = moved
    return view


def _is_free(view: LogView, tree: str, through: int) -> bool:
    """Return whether a blocked tree is free once it is published through a load.

    A later load of a blocked tree counts as settled, though nothing has published it.
    """
    if tree not in view.blocked:
        return False
    later = (load for load in view.after(through) if load.seq <= view.settled_seq)
    return not any(load.touches(tree) for load in later)


def _still_blocks(
    dataset: Dataset, view: LogView, failure: Unpublished, pipeline_name: str | None
) -> bool:
    """Return whether a failure blocks its tree, so that its loads no longer delay others."""
    error, load, intent = failure.error, failure.load, failure.intent
    if isinstance(error, ReadTooLongAgo):
        return False  # It says nothing about the load, however old that is.
    is_settled = load.seq <= view.settled_seq or not view.knows_load(load.load_uid)
    if is_settled or view.is_released(load.seq, intent.table):
        return False
    if _published_through(dataset, view, load, intent) >= load.seq:
        return False
    # The pipeline that loads into a table is the one that should have permission to.
    is_own = load.pipeline_name == pipeline_name
    is_old = load.committed_at < datetime.now(UTC) - BLOCKED_AFTER
    return isinstance(error, BLOCKING_ERRORS if is_own else DETERMINISTIC_ERRORS) or is_old


def settled_through(
    dataset: Dataset,
    view: LogView,
    loads: Sequence[Load],
    blocked: Collection[str],
    published: Collection[int] = (),
) -> int:
    """Return the seq up to which every load is known to be published, or blocks its table.

    Args:
        dataset: The dataset.
        view: The log.
        loads: Its unsettled loads.
        blocked: The roots of blocked trees, whose loads count as settled.
        published: Loads that the caller has just published completely, whose tables need no check.
    """
    settled = view.settled_seq
    released = {(r.seq, r.table) for load in loads for r in load.intent.releases}
    watermarks: dict[str, int] = {}
    for load in loads:
        for intent in load.intent.tables if load.seq not in published else ():
            if intent.tree in blocked or (load.seq, intent.table) in released:
                continue
            if intent.table not in watermarks:
                watermarks[intent.table] = _published_through(dataset, view, load, intent)
            if watermarks[intent.table] < load.seq:
                return settled
        settled = load.seq
    return settled


def _published_through(dataset: Dataset, view: LogView, load: Load, intent: TableIntent) -> int:
    try:
        table = dataset.load_table(intent.table)
    except Exception:
        # A boundary: for any error of loading the table, the load may be unpublished.
        return 0
    # Nothing is pending for a table that was dropped and that the load does not create.
    return load.seq if table is None and not intent.creates else watermark_of(table, view.uuid)
