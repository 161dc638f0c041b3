"""Releasing a table that a committed load blocks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.commits import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    IncompatibleSchema,
    UnpublishableRows,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.names import LOG_PROPERTY
from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent
from floe_ingestion_defs.destinations.impl.iceberg.publish import (
    MARK_PROPERTY,
    mark_of,
    publish_table,
    recover,
)

if TYPE_CHECKING:
    from pyiceberg.io import FileIO

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

logger = logging.getLogger(__name__)

BLOCKED_SUFFIX = "__blocked"


def release_blocked(dataset: Dataset, table: str) -> int:
    """Moves the rows that block a table to `{table}__blocked`, and the table's mark past them.

    A committed load blocks a table that was changed, since the load's audit, to something that its
    rows do not fit. Nothing is lost: the rows stand in the other table as they were extracted. A
    load blocks its table too if somebody deleted one of its staged files; then what is left of it
    is moved, and the lost file is named in an error of the log.

    Returns:
        The number of rows that were moved.
    """
    view = dataset.log.read()
    moved = 0
    for load in view.unsettled() if view else []:
        intent = next((i for i in load.intent.tables if i.table == table), None)
        if view is None or intent is None:
            continue
        if mark_of(dataset.load_table(table), view.uuid) >= load.seq:
            continue
        try:
            publish_table(dataset, view.uuid, load, intent)
            continue  # It fits after all, the earlier ones being out of its way.
        except (IncompatibleSchema, UnpublishableRows) as error:
            logger.warning("Moving the rows of %s aside: %s", table, error)
        aside = _aside(intent, (dataset.load_table(table) or view.table).io)
        publish_table(dataset, view.uuid, load, aside)
        _move_mark(dataset, view.uuid, table, load.seq)
        moved += aside.rows
    if view is not None:
        recover(dataset, view)
    return moved


def _aside(intent: TableIntent, io: FileIO) -> TableIntent:
    files = tuple(staged for staged in intent.files if io.new_input(staged.path).exists())
    for lost in set(intent.files).difference(files):
        logger.error("%s rows of %s are lost with %s", lost.rows, intent.table, lost.path)
    return TableIntent(
        table=intent.table + BLOCKED_SUFFIX,
        disposition="append",
        files=files,
        iceberg_schema=intent.iceberg_schema,
    )


def _move_mark(dataset: Dataset, log_uuid: str, name: str, seq: int) -> None:
    def attempt() -> None:
        table = dataset.load_table(name)
        if table is None or mark_of(table, log_uuid) >= seq:
            return
        with table.transaction() as transaction:
            transaction.set_properties({LOG_PROPERTY: log_uuid, MARK_PROPERTY: str(seq)})

    commit_certainly(f"Releasing {dataset.qualified(name)}", attempt)
