"""Creating a table as an intent says, or evolving the one that exists for its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.schema import Schema

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import create_table_transaction
from floe_ingestion_defs.destinations.impl.iceberg.files.layout import (
    DEFAULT_PROPERTIES,
    partition_spec,
    sort_order,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.schema import evolve, reset
from floe_ingestion_defs.destinations.impl.iceberg.log.format import DROPPED_SEQ

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.table import CreateTableTransaction, Table, Transaction

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load


def is_dropped(table: Table) -> bool:
    """Return whether a load dropped the table, and nothing was loaded into it since then.

    A catalog's drop cannot assert what it drops, so a slow publisher could drop a table that a
    later load re-created. A dropped table is emptied instead, and counts as absent.
    """
    return DROPPED_SEQ in table.properties


def ensure_fits(dataset: Dataset, loads: Iterable[Load], intent: TableIntent) -> None:
    """Check that a load's rows fit a table after other loads were published to it.

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
        transaction = creation(dataset, earlier[0])
    else:
        return
    was_dropped = table is not None and is_dropped(table)
    for step in (*earlier, intent):
        adapt_schema(transaction, name, step, was_dropped)
        was_dropped = step.drop and not step.files


def adapt_schema(
    transaction: Transaction, name: str, intent: TableIntent, was_dropped: bool
) -> None:
    """Evolve the table for the load's rows; a dropped table keeps its columns, hidden."""
    incoming = Schema.model_validate_json(intent.iceberg_schema)
    if was_dropped or (intent.drop and intent.files):
        reset(transaction, name, incoming)
    else:
        evolve(transaction, name, incoming)


def creation(
    dataset: Dataset, intent: TableIntent, schema: Schema | None = None
) -> CreateTableTransaction:
    """Return the transaction that creates the table of an intent.

    It has the uuid of the intent, unless that is of the table on which the rows were staged: an
    operator may have renamed that one, and no two tables have one uuid.

    Args:
        dataset: The dataset.
        intent: The intent, or the draft of one.
        schema: The table's schema, if the intent does not contain it yet.
    """
    if schema is None:  # A schema without columns is false.
        schema = Schema.model_validate_json(intent.iceberg_schema)
    name = dataset.qualified(intent.table)
    return create_table_transaction(
        dataset.catalog,
        dataset.identifier(intent.table),
        schema=schema,
        location=intent.location,
        table_uuid=intent.table_uuid if intent.location else None,
        partition_spec=partition_spec(name, intent.layout, schema),
        sort_order=sort_order(name, intent.layout, schema),
        properties={**DEFAULT_PROPERTIES, **intent.layout.properties},
    )
