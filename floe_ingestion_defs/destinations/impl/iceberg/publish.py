"""Publishing: bringing tables up to date with the log, in the order of `seq`.

One table's part of one load is one commit on `main`, which also moves the table's watermark, the
load that it is published through. So a publisher that finds the watermark moved has nothing to do,
a publisher that died is succeeded by any other, and recovery is publishing and nothing else.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    BLOCKING_ERRORS,
    DETERMINISTIC_ERRORS,
    DatasetRefused,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.due import skip_released
from floe_ingestion_defs.destinations.impl.iceberg.parallel.tables import for_each_table
from floe_ingestion_defs.destinations.impl.iceberg.publication import Publication

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from floe_ingestion_defs.destinations.impl.iceberg.commits.own_load import OwnLoad
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unpublished:
    """Where publishing a tree of tables stopped.

    Attributes:
        load: The load that could not be published.
        intent: What it does to the table that it could not be published to.
        error: Why.
    """

    load: Load
    intent: TableIntent
    error: Exception


def publish(
    dataset: Dataset,
    log_uuid: str,
    loads: Iterable[Load],
    through: Mapping[str, int] | None = None,
    own: OwnLoad | None = None,
) -> dict[str, Unpublished]:
    """Publish loads in their order.

    Args:
        dataset: The dataset.
        log_uuid: The log that the loads are in.
        loads: Committed loads, oldest first, without a gap from the oldest that may be pending.
        through: Only the trees of tables with these roots, each through a load; None for all. The
            later loads count too, as they may release one of the earlier.
        own: The load that this process has just committed.

    Returns:
        For each tree that could not be published, by its root, where it stopped. Later loads skip
        such a tree: neither a root nor its nested tables may get ahead of the other.
    """
    loads = list(loads)
    read = Since()
    released = {(r.seq, r.table) for load in loads for r in load.intent.releases}
    trees: dict[str, list[tuple[Load, TableIntent]]] = {}
    for load in loads:
        for intent in load.intent.in_publishing_order():
            last = load.seq if through is None else through.get(intent.tree, 0)
            if last < load.seq or (load.seq, intent.table) in released:
                continue
            if not _is_superseded(loads, load, intent, last):
                trees.setdefault(intent.tree, []).append((load, intent))

    def publish_tree(steps: Iterable[tuple[Load, TableIntent]]) -> Unpublished | None:
        for load, intent in steps:
            try:
                if load.intent.releases:
                    intent = _without_published(dataset, log_uuid, load, intent, loads)
                Publication(dataset, log_uuid, load, intent, read, own).run()
            except DatasetRefused:
                raise
            except Exception as error:
                # A boundary: each tree fails by itself, for any error of catalog, storage or rows.
                logger.error(
                    "Load %s is committed and %s be published to %s: %s",
                    load.load_id,
                    "cannot" if isinstance(error, DETERMINISTIC_ERRORS) else "could not",
                    dataset.qualified(intent.table),
                    error,
                )
                return Unpublished(load, intent, error)
        return None

    found = for_each_table(dataset.catalog, publish_tree, list(trees.values()))
    return {tree: failure for tree, failure in zip(trees, found, strict=True) if failure}


def _without_published(
    dataset: Dataset, log_uuid: str, release: Load, intent: TableIntent, loads: Iterable[Load]
) -> TableIntent:
    """Return what a release adds to the quarantine table: nothing that was published after all."""
    try:
        published = skip_released(dataset, log_uuid, release, loads)
    except BLOCKING_ERRORS as error:
        # Such as a missing right. The release does not depend on it.
        logger.warning(
            "The watermark of %s was not advanced past the loads that load %s releases (%s). If a "
            "suspended process publishes them after all, it removes them from the quarantine "
            "table; so does releasing the table again",
            ", ".join(dataset.qualified(released.table) for released in release.intent.releases),
            release.load_id,
            type(error).__name__,
        )
        return intent
    return intent.model_copy(update={"files": ()}) if published else intent


def _is_superseded(loads: Iterable[Load], load: Load, intent: TableIntent, last: int) -> bool:
    """Return whether a later load, of those to publish, replaces all that this one does."""
    return any(
        load.seq < later.seq <= last and other.table == intent.table and other.starts_empty
        for later in loads
        for other in later.intent.tables
    )
