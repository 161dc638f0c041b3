"""Releasing a blocked table: rows that cannot be published move to a quarantine table.

A release is a load of its own: its row in the log names the load that is given up and the table,
and publishing it appends that load's files to `{table}____blocked`. So a release that dies is
completed like any load, and it does not depend on the blocked table, which may not even exist.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.errors import BLOCKING_ERRORS
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent, Release, TableIntent
from floe_ingestion_defs.destinations.impl.iceberg.log.due import was_published
from floe_ingestion_defs.destinations.impl.iceberg.log.format import BLOCKED_SUFFIX, Load
from floe_ingestion_defs.destinations.impl.iceberg.log.quarantine import remove_published
from floe_ingestion_defs.destinations.impl.iceberg.publish import publish
from floe_ingestion_defs.destinations.impl.iceberg.recover import record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

logger = logging.getLogger(__name__)


def release_blocked(dataset: Dataset, table: str) -> int:
    """Publish the loads pending for a table, and quarantine those that cannot be published.

    A committed load blocks a table that was changed after the load's audit to a schema that its
    rows do not fit, or that cannot be read at all. No row is lost: the quarantine table has them
    as they were extracted. A staged file that was deleted cannot be moved; an error in the log
    names it.

    Args:
        dataset: The dataset.
        table: The table's name, without its namespace.

    Returns:
        The number of rows that were moved; 0 if everything could be published after all.

    Raises:
        Exception: What kept the table from being published, where that may be transient.
    """
    moved = 0
    view = dataset.log.read()
    while view is not None:
        loads = view.pending()
        trees = _trees_of(table, loads)
        through = dict.fromkeys(trees, view.last_seq)
        failed = publish(dataset, view.uuid, loads, through)
        if not failed:
            record(dataset, view, {}, through)
            if _load_table(dataset, table) is None:
                return moved
            return max(0, moved - remove_published(dataset, view.uuid, table))
        for failure in failed.values():
            load, intent, error = failure.load, failure.intent, failure.error
            if not isinstance(error, BLOCKING_ERRORS):
                raise error
            logger.warning(
                "Load %s is released for %s, and its rows are moved to %s: %s",
                load.load_id,
                dataset.qualified(intent.table),
                dataset.qualified(intent.table + BLOCKED_SUFFIX),
                type(error).__name__,
            )
            moved += commit_release(dataset, view, load, intent)
        view = dataset.log.read()
    return moved


def _trees_of(table: str, loads: Iterable[Load]) -> set[str]:
    """Return the trees to publish: the table's, and its quarantine if a release did not end."""
    intents = [(load, intent) for load in loads for intent in load.intent.tables]
    names = {table, *(intent.table for _, intent in intents if intent.tree == table)}
    return {
        intent.tree
        for load, intent in intents
        if intent.table in names or any(release.table in names for release in load.intent.releases)
    }


def _load_table(dataset: Dataset, table: str) -> Table | None:
    try:
        return dataset.load_table(table)
    except BLOCKING_ERRORS:
        # Not a transient error, after which a load that is published would be given up.
        return None


def commit_release(dataset: Dataset, view: LogView, load: Load, intent: TableIntent) -> int:
    """Commit and publish the release of one load for one table."""
    quarantined = _quarantined(view, intent)
    release = Load(
        load_id=str(time.time()),
        load_uid=uuid4().hex,
        schema_name=None,
        schema_version_hash=None,
        pipeline_name=load.pipeline_name,
        intent=LoadIntent(
            tables=(quarantined,) if quarantined.files else (),
            releases=(Release(seq=load.seq, table=intent.table),),
        ),
    )

    def attempt() -> tuple[Load, LogView]:
        now = dataset.log.read_or_create()
        # An attempt of unknown outcome, or another operator's.
        if done := now.release_of(load.seq, intent.table):
            return done, now
        numbered = replace(release, seq=now.last_seq + 1, settled_seq=now.settled_seq)
        return numbered, dataset.log.append(now, numbered)

    name = dataset.qualified(intent.table)
    committed, view = commit_certainly(f"Releasing {name}", attempt)
    through = {quarantined.table: committed.seq}
    for failure in publish(dataset, view.uuid, [load, committed], through).values():
        raise failure.error
    (released,) = release.intent.releases
    table = _load_table(dataset, intent.table)
    if table is not None and was_published(table, view.uuid, released, committed):
        return 0
    return quarantined.rows


def _quarantined(view: LogView, intent: TableIntent) -> TableIntent:
    """Return the intent that appends the files which still exist to the quarantine table."""
    io = view.table.io
    files = tuple(staged for staged in intent.files if io.new_input(staged.path).exists())
    for lost in set(intent.files).difference(files):
        logger.error(
            "%s rows of %s are lost, because %s was deleted", lost.rows, intent.table, lost.path
        )
    return TableIntent(
        table=intent.table + BLOCKED_SUFFIX,
        disposition="append",
        files=files,
        iceberg_schema=intent.iceberg_schema,
    )
