"""Publishing: bringing tables up to date with the log, in the order of `seq`.

One table's part of one load is one commit on `main`, which also moves the table's mark, the `seq`
that it is published through. So a publisher that finds the mark moved has nothing to do, a
publisher that died is succeeded by any other, and recovery is publishing and nothing else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyiceberg.schema import Schema
from pyiceberg.table import TableProperties

from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import file_io
from floe_ingestion_defs.destinations.impl.iceberg.changes.change import compute_change
from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
from floe_ingestion_defs.destinations.impl.iceberg.commits import (
    add_snapshot,
    commit_certainly,
    create_table_transaction,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    IncompatibleSchema,
    UnpublishableRows,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.layout import (
    DEFAULT_PROPERTIES,
    partition_spec,
    sort_order,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.names import LOG_PROPERTY
from floe_ingestion_defs.destinations.impl.iceberg.files.schema import evolve, reset

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyiceberg.table import CreateTableTransaction, Table, Transaction

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import Load, LogView

logger = logging.getLogger(__name__)

MARK_PROPERTY = "dlt.published-seq"
DROPPED_PROPERTY = "dlt.dropped-seq"
LOAD_ID_SUMMARY = "dlt.load-id"
LOAD_UID_SUMMARY = "dlt.load-uid"


# What goes wrong in the same way each time, and must not keep other tables from their rows: values
# that do not fit or cannot be compared, a staged file that somebody deleted.
_AS_BEFORE = (ValueError, TypeError, LookupError, NotImplementedError, FileNotFoundError)


def mark_of(table: Table | None, log_uuid: str) -> int:
    """The seq that a table is published through; 0 where it is no table of this log."""
    if table is None or table.properties.get(LOG_PROPERTY) != log_uuid:
        return 0
    return int(table.properties.get(MARK_PROPERTY, 0))


def is_dropped(table: Table) -> bool:
    """Whether a load dropped the table, and nothing was loaded into it since.

    A catalog's drop cannot assert what it drops, so a slow publisher could drop a table that a
    later load made anew. A dropped table is emptied instead, and counts as absent.
    """
    return DROPPED_PROPERTY in table.properties


def publish(
    dataset: Dataset,
    log_uuid: str,
    loads: Iterable[Load],
    tables: Collection[str] | None = None,
) -> dict[str, Exception]:
    """Publishes loads in their order.

    Args:
        dataset: The dataset.
        log_uuid: Which log the loads stand in.
        loads: Committed loads, oldest first, without a gap up to the newest.
        tables: Only these tables and those nested in them; None for all.

    Returns:
        The tables that could not be published because they were changed incompatibly since the
        audit, each with its error. Later loads leave such a table alone.
    """
    blocked: dict[str, Exception] = {}
    # A root must not get ahead of what is nested in it, nor that ahead of its root.
    blocked_roots: set[str] = set()
    loads = list(loads)
    if tables is not None:
        tables = _with_nested(loads, tables)
    for load in loads:
        for intent in load.intent.in_publishing_order():
            root = intent.nesting.root if intent.nesting else intent.table
            if tables is not None and intent.table not in tables:
                continue
            if root in blocked_roots:
                continue
            try:
                publish_table(dataset, log_uuid, load, intent)
            except (IncompatibleSchema, UnpublishableRows) as error:
                blocked[intent.table] = error
                blocked_roots.add(root)
                logger.error(
                    "Load %s is committed and cannot be published to %s: %s",
                    load.load_id,
                    dataset.qualified(intent.table),
                    error,
                )
    return blocked


def _with_nested(loads: Iterable[Load], tables: Collection[str]) -> set[str]:
    """The tables and those that any of the loads merges as nested in them.

    A root must not get ahead of them: what leaves a nested table is decided by the root's rows as
    they were before.
    """
    intents = [intent for load in loads for intent in load.intent.tables]
    nested = {i.table for i in intents if i.nesting and i.nesting.root in tables}
    return {*tables, *nested}


def publish_table(dataset: Dataset, log_uuid: str, load: Load, intent: TableIntent) -> None:
    """Publishes one load to one table, unless it is published already.

    Raises:
        IncompatibleSchema: The table was changed since the load was audited.
        UnpublishableRows: The load's rows cannot be brought into the table.
        CommitContention: Other writers won every attempt within the time limit.
    """

    def attempt() -> None:
        table = dataset.load_table(intent.table)
        if mark_of(table, log_uuid) < load.seq:
            _commit(dataset, log_uuid, load, intent, table)

    commit_certainly(
        f"Publishing load {load.load_id} to {dataset.qualified(intent.table)}", attempt
    )


def _commit(
    dataset: Dataset, log_uuid: str, load: Load, intent: TableIntent, table: Table | None
) -> None:
    if table is None and not _creates(intent):
        return
    transaction = _creation(dataset, intent) if table is None else table.transaction()
    name = dataset.qualified(intent.table)
    if table is not None:
        _adapt_schema(transaction, name, intent, is_dropped(table))
    _set_properties(transaction, log_uuid, load, intent, table)
    metadata, io = transaction.table_metadata, file_io(transaction)
    state = TableState(metadata, io, is_empty=table is None)
    try:
        change = compute_change(state, intent, lambda: _root_before(dataset, load, intent))
    except _AS_BEFORE as error:
        msg = f"{type(error).__name__}: {error}"
        raise UnpublishableRows(msg) from error
    if change.added or change.removed:
        summary = {LOAD_ID_SUMMARY: load.load_id, LOAD_UID_SUMMARY: load.load_uid}
        add_snapshot(transaction, change.added, change.removed, summary)
    transaction.commit_transaction()


def ensure_fits(dataset: Dataset, loads: Iterable[Load], intent: TableIntent) -> None:
    """Makes sure that a load's rows fit a table once that is published through others.

    Args:
        dataset: The dataset.
        loads: Committed loads that may not be published yet, oldest first.
        intent: What the load does to the table.

    Raises:
        IncompatibleSchema: They do not.
    """
    name = dataset.qualified(intent.table)
    earlier = [i for load in loads for i in load.intent.tables if i.table == intent.table]
    table = dataset.load_table(intent.table)
    transaction: Transaction
    if table is not None:
        transaction = table.transaction()
    elif earlier:
        transaction = _creation(dataset, earlier[0])
    else:
        return
    was_dropped = table is not None and is_dropped(table)
    for step in (*earlier, intent):
        _adapt_schema(transaction, name, step, was_dropped)
        was_dropped = step.drop and not step.files


def _adapt_schema(
    transaction: Transaction, name: str, intent: TableIntent, was_dropped: bool
) -> None:
    """Makes the table hold the load's rows; one that the load drops keeps its columns, unseen."""
    incoming = Schema.model_validate_json(intent.iceberg_schema)
    if was_dropped or (intent.drop and intent.files):
        reset(transaction, name, incoming)
    else:
        evolve(transaction, name, incoming)


def _creates(intent: TableIntent) -> bool:
    """Whether a table that is not there comes to be: not by deleting from it."""
    return intent.location is not None or bool(intent.files)


def _creation(dataset: Dataset, intent: TableIntent) -> CreateTableTransaction:
    schema = Schema.model_validate_json(intent.iceberg_schema)
    name = dataset.qualified(intent.table)
    return create_table_transaction(
        dataset.catalog,
        dataset.identifier(intent.table),
        schema=schema,
        location=intent.location,
        partition_spec=partition_spec(name, intent.layout, schema),
        sort_order=sort_order(name, intent.layout, schema),
        properties={**DEFAULT_PROPERTIES, **intent.layout.properties},
    )


def _set_properties(
    transaction: Transaction, log_uuid: str, load: Load, intent: TableIntent, table: Table | None
) -> None:
    properties = {LOG_PROPERTY: log_uuid, MARK_PROPERTY: str(load.seq)}
    if table is None:
        # The files of loads carry field ids. Those that another writer adds may not, and without a
        # mapping some engines would find their columns by position.
        mapping = transaction.table_metadata.schema().name_mapping
        properties[TableProperties.DEFAULT_NAME_MAPPING] = mapping.model_dump_json()
    if intent.drop and not intent.files:
        properties[DROPPED_PROPERTY] = str(load.seq)
    elif table is not None and is_dropped(table):
        transaction.remove_properties(DROPPED_PROPERTY)
    transaction.set_properties(properties)


def _root_before(
    dataset: Dataset, load: Load, intent: TableIntent
) -> tuple[TableState, TableIntent]:
    """The root of a nested table as it is before the load, and what the load does to it.

    Nested tables are published before their root, so as long as a nested table's commit can
    succeed, its root is still as the load found it.
    """
    root_intent = load.intent.root_of(intent)
    root = dataset.load_table(root_intent.table)
    if root is None:
        transaction: Transaction = _creation(dataset, root_intent)
        return TableState(
            transaction.table_metadata, file_io(transaction), is_empty=True
        ), root_intent
    transaction = root.transaction()
    _adapt_schema(transaction, dataset.qualified(root_intent.table), root_intent, is_dropped(root))
    metadata = transaction.table_metadata
    return TableState(metadata, root.io, root_intent.starts_empty), root_intent


def settled_through(dataset: Dataset, view: LogView, published: Collection[int] = ()) -> int:
    """The seq up to which every load is published to every one of its tables.

    Args:
        dataset: The dataset.
        view: The log.
        published: Loads that the caller has just published whole, which need no look.
    """
    settled = view.settled_seq
    marks: dict[str, int] = {}
    for load in view.unsettled():
        if load.seq not in published:
            for intent in load.intent.tables:
                if intent.table not in marks:
                    table = dataset.load_table(intent.table)
                    marks[intent.table] = mark_of(table, view.uuid)
                    if table is None and not _creates(intent):
                        marks[intent.table] = load.seq
                if marks[intent.table] < load.seq:
                    return settled
        settled = load.seq
    return settled


def recover(dataset: Dataset, view: LogView) -> dict[str, Exception]:
    """Publishes everything that is committed and not yet published.

    Returns:
        The tables that could not be, each with its error.
    """
    unsettled = view.unsettled()
    if not unsettled:
        return {}
    blocked = publish(dataset, view.uuid, unsettled)
    if not blocked:
        dataset.log.record_settled(view, unsettled[-1].seq)
    return blocked
