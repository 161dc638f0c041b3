"""Loads that a table had and lacks: a rollback or a backup that was restored has removed them.

Both are what operators do on purpose, so such loads do not come back by themselves; they are
reported until the table is replaced. A rolled-back table has them in its metadata. A restored one
does not, but its watermark is below them; the next load advances it, and records them in the log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOG_UUID, PUBLISHED_SEQ
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import (
    has_in_history,
    log_of,
    rolled_back_loads,
    watermark_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

logger = logging.getLogger(__name__)

# A property's size is bounded.
_MOST_RECORDED = 100


def missing_loads(table: Table, view: LogView | None = None) -> list[str]:
    """Return the ids of the loads that a rollback or a restored backup has removed from a table.

    They do not come back by themselves: roll the table forward, or load the source again. The loads
    that a rollback removed are known until their snapshots are expired.

    Args:
        table: The table.
        view: The log of its dataset, which knows the loads that a backup lacks. Of loads that the
            log's compaction has emptied, it knows the table's newest one.
    """
    log_uuid = log_of(table)
    found = rolled_back_loads(table, log_uuid) if log_uuid else []
    if view is None or log_uuid != view.uuid:
        return found
    recorded = [x for x in view.missing(table.name()[-1]) if not has_in_history(table, x)]
    return list(dict.fromkeys([*recorded, *found, *_lacked_loads(table, view)]))


def missing_since(
    dataset: str,
    tables: Iterable[tuple[TableIntent, Table | None]],
    view: LogView,
    pipeline_name: str,
) -> dict[str, str | None]:
    """Return what a load changes in the log's record of missing loads, and warn of new ones.

    Args:
        dataset: The dataset's name.
        tables: What the load does to each table, with the table as it was when it was staged.
        view: The log.
        pipeline_name: The pipeline that loads.

    Returns:
        By the tables' names, the ids of the loads that each lacks; None for a table that the load
        replaces or creates.
    """
    changes: dict[str, str | None] = {}
    for intent, table in tables:
        name = intent.table
        if table is None or intent.starts_empty:
            changes[name] = None
        elif lacked := _lacked_loads(table, view, pipeline_name):
            logger.warning(
                "`%s.%s` is older than the log of its dataset, such as after it was restored from "
                "a backup: it lacks loads %s, which do not come back by themselves",
                dataset,
                name,
                ", ".join(lacked),
            )
            known = dict.fromkeys([*view.missing(name), *lacked])
            changes[name] = " ".join(list(known)[-_MOST_RECORDED:])
    return changes


def _lacked_loads(table: Table, view: LogView, pipeline_name: str | None = None) -> list[str]:
    """Return the ids of the loads of the log that are newer than the table's watermark."""
    properties = table.properties
    if properties.get(LOG_UUID) != view.uuid or PUBLISHED_SEQ not in properties:
        return []
    return view.lacked_by(table.name()[-1], watermark_of(table, view.uuid), pipeline_name)
