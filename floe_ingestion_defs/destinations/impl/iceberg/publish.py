"""Publishing: bringing tables up to date with the log, in the order of `seq`.

One table's part of one load is one commit on `main`, which also moves the table's watermark, the
load that it is published through. So a publisher that finds the watermark moved has nothing to do,
a publisher that died is succeeded by any other, and recovery is publishing and nothing else.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pyiceberg.exceptions import (
    BadRequestError,
    ForbiddenError,
    NamespaceNotEmptyError,
    NoSuchIcebergTableError,
    TableAlreadyExistsError,
    ValidationError,
)
from pyiceberg.table import TableProperties

from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import file_io
from floe_ingestion_defs.destinations.impl.iceberg.changes.attempt_results import AttemptResults
from floe_ingestion_defs.destinations.impl.iceberg.changes.change import compute_change
from floe_ingestion_defs.destinations.impl.iceberg.changes.merge_mode import (
    MERGE_MODE_PROPERTY,
    set_merge_mode,
)
from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import (
    add_snapshot,
    same_creation,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.commits.retention import expire_in
from floe_ingestion_defs.destinations.impl.iceberg.create import (
    adapt_schema,
    creation,
    is_dropped,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    DatasetRefused,
    IncompatibleSchema,
    ReadTooLongAgo,
    UnpublishableRows,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.statistics import metrics_of_keys
from floe_ingestion_defs.destinations.impl.iceberg.log.due import (
    LOOK_UP_AGAIN_SECONDS,
    is_due,
    skip_released,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    DROPPED_SEQ,
    LOG_UUID,
    PUBLISHED_LOAD_UID,
    PUBLISHED_SEQ,
    PUBLISHED_SNAPSHOT,
    SCD2_BOUNDARY,
    SUMMARY_LOAD_ID,
    SUMMARY_LOAD_UID,
    SUMMARY_LOG_UUID,
    SUMMARY_RELEASED_SEQ,
    SUMMARY_SEQ,
    Load,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.quarantine import remove_published
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import (
    was_rolled_back,
    watermark_of,
)
from floe_ingestion_defs.destinations.impl.iceberg.parallel.tables import for_each_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyiceberg.table import CreateTableTransaction, Table, Transaction

    from floe_ingestion_defs.destinations.impl.iceberg.commits.own_load import OwnLoad
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent

logger = logging.getLogger(__name__)

# A creation conflicts if another process created the table first; then the table exists.
_MOST_CREATIONS = 5

# Errors that recur at each attempt, so that a retry would only delay other tables: values that do
# not fit or cannot be compared, a staged or a metadata file that was deleted, a name that the
# catalog does not accept. Later publishers retry all others.
DETERMINISTIC_ERRORS = (
    IncompatibleSchema,
    UnpublishableRows,
    ArithmeticError,
    BadRequestError,
    FileNotFoundError,
    LookupError,
    NamespaceNotEmptyError,
    NoSuchIcebergTableError,
    NotImplementedError,
    TableAlreadyExistsError,
    TypeError,
    ValidationError,
    ValueError,
)

# What blocks a table of the pipeline itself: without permission to write to it, each attempt fails.
BLOCKING_ERRORS = (*DETERMINISTIC_ERRORS, ForbiddenError)


def publish(
    dataset: Dataset,
    log_uuid: str,
    loads: Iterable[Load],
    through: Mapping[str, int] | None = None,
    own: OwnLoad | None = None,
) -> dict[str, Exception]:
    """Publish loads in their order.

    Args:
        dataset: The dataset.
        log_uuid: The log that the loads are in.
        loads: Committed loads, oldest first, without a gap from the oldest that may be pending.
        through: Only the trees of tables with these roots, each through a load; None for all. The
            later loads count too, as they may release one of the earlier.
        own: The load that this process has just committed.

    Returns:
        For each tree that could not be published, by its root, the error. Later loads skip such a
        tree: neither a root nor its nested tables may get ahead of the other.
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

    def publish_tree(steps: Iterable[tuple[Load, TableIntent]]) -> Exception | None:
        for load, intent in steps:
            try:
                if load.intent.releases:
                    intent = _without_published(dataset, log_uuid, load, intent, loads)
                publish_table(dataset, log_uuid, load, intent, read, own)
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
                return error
        return None

    errors = for_each_table(dataset.catalog, publish_tree, list(trees.values()))
    return {tree: error for tree, error in zip(trees, errors, strict=True) if error}


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


def publish_table(
    dataset: Dataset,
    log_uuid: str,
    load: Load,
    intent: TableIntent,
    read: Since,
    own: OwnLoad | None = None,
) -> None:
    """Publish one load to one table, unless it is published already.

    Args:
        dataset: The dataset.
        log_uuid: The log that the load is in.
        load: The load.
        intent: What it does to the table.
        read: When the load was found in the log.
        own: The load that this process has just committed.

    Raises:
        IncompatibleSchema: The table was changed after the load was audited.
        UnpublishableRows: The load's rows cannot be published to the table.
        CommitContention: Other writers won every attempt within the time limit.
        ReadTooLongAgo: The process slept for a day in an attempt, and again in the next one.
    """
    conflicting_creations = 0
    earlier, began = AttemptResults(), Since()
    known = own.take(load, intent) if own else None
    is_confirmed = own is not None and own.is_confirmed(load)

    def attempt() -> None:
        nonlocal earlier, began
        began = Since()
        if earlier.since.is_too_long:
            earlier = AttemptResults()  # The files of earlier attempts may have been swept.
        try:
            publish_on_head()
        except DETERMINISTIC_ERRORS as error:
            # What a process finds that slept says nothing about the load: it may have been
            # published meanwhile, its files replaced by a compaction and deleted by an expiry.
            if earlier.since.is_too_long:
                raise ReadTooLongAgo(str(error)) from error
            raise

    def publish_on_head() -> None:
        nonlocal conflicting_creations, known, is_confirmed
        staged, known = known, None
        table = staged.current if staged else dataset.load_table(intent.table, earlier.since)
        if table is None:
            conflicting_creations += 1
            if conflicting_creations > _MOST_CREATIONS:
                msg = (
                    f"`{dataset.qualified(intent.table)}` cannot be created, but is not a table: "
                    "another object of the catalog, such as a view, may have its name"
                )
                raise UnpublishableRows(msg)
        looked_up = Since()
        if watermark_of(table, log_uuid) < load.seq and is_due(
            dataset, log_uuid, load, intent, table, read, is_confirmed=is_confirmed
        ):
            if own is not None and table is None and not is_confirmed:
                own.confirm(load, looked_up)
            is_confirmed = False
            created = staged.creation if staged else None
            _commit(dataset, log_uuid, load, intent, table, created, earlier)

    commit_certainly(
        f"Publishing load {load.load_id} to {dataset.qualified(intent.table)}", attempt
    )
    if began.seconds >= LOOK_UP_AGAIN_SECONDS:
        # The load may have been released while this publisher was suspended in its commit.
        remove_published(dataset, log_uuid, intent.table)


def _commit(
    dataset: Dataset,
    log_uuid: str,
    load: Load,
    intent: TableIntent,
    table: Table | None,
    created: CreateTableTransaction | None,
    earlier: AttemptResults,
) -> None:
    if table is not None:
        transaction = table.transaction()
    else:
        transaction = same_creation(created) if created else creation(dataset, intent)
    name = dataset.qualified(intent.table)
    if table is not None:
        adapt_schema(transaction, name, intent, is_dropped(table))
    intent = _with_later_boundary(intent, table)
    _set_properties(transaction, log_uuid, load, intent, table)
    metadata, io = transaction.table_metadata, file_io(transaction)
    executor = dataset.rewrite_executor
    state = TableState(metadata, io, table is None, earlier=earlier, executor=executor)
    try:
        change = compute_change(
            state, intent, lambda name: _table_before(dataset, load, name, earlier)
        )
    except DETERMINISTIC_ERRORS as error:
        msg = f"{type(error).__name__}: {error}"
        raise UnpublishableRows(msg) from error
    if change.added or change.removed:
        summary = {
            SUMMARY_LOAD_ID: load.load_id,
            SUMMARY_LOAD_UID: load.load_uid,
            SUMMARY_LOG_UUID: log_uuid,
            SUMMARY_SEQ: str(load.seq),
        }
        if load.intent.releases:
            summary[SUMMARY_RELEASED_SEQ] = str(load.intent.releases[0].seq)
        snapshot_id = add_snapshot(transaction, change.added, change.removed, summary)
        transaction.set_properties({PUBLISHED_SNAPSHOT: str(snapshot_id)})
        expire_in(transaction)
    transaction.commit_transaction()


def _with_later_boundary(intent: TableIntent, table: Table | None) -> TableIntent:
    """Return the intent with a boundary of validity that is later than the table's last one.

    Workers' clocks differ, and a version must not end before it began. The table carries its last
    boundary, so every publisher of the load computes the same.
    """
    last = table.properties.get(SCD2_BOUNDARY) if table is not None else None
    validity = intent.validity
    if validity is None or last is None:
        return intent
    boundary = datetime.fromisoformat(last)
    if validity.boundary > boundary:
        return intent
    later = validity.model_copy(update={"boundary": boundary + timedelta(microseconds=1)})
    return intent.model_copy(update={"validity": later})


def _set_properties(
    transaction: Transaction, log_uuid: str, load: Load, intent: TableIntent, table: Table | None
) -> None:
    properties = {
        LOG_UUID: log_uuid,
        PUBLISHED_SEQ: str(load.seq),
        PUBLISHED_LOAD_UID: load.load_uid,
    }
    if intent.validity is not None:
        properties[SCD2_BOUNDARY] = intent.validity.boundary.isoformat()
    if table is None:
        # The files of loads have field ids. Those of other writers may not, and without a mapping
        # some engines would find their columns by position.
        mapping = transaction.table_metadata.schema().name_mapping
        properties[TableProperties.DEFAULT_NAME_MAPPING] = mapping.model_dump_json()
    if intent.drop and not intent.files:
        properties[DROPPED_SEQ] = str(load.seq)
    elif table is not None and is_dropped(table):
        transaction.remove_properties(DROPPED_SEQ)
    keys = (*intent.keys.primary_key, *intent.keys.merge_key)
    metadata = transaction.table_metadata
    properties |= metrics_of_keys(metadata.schema(), keys, metadata.properties)
    transaction.set_properties(properties)
    set_merge_mode(transaction, intent.layout.properties.get(MERGE_MODE_PROPERTY))


def _table_before(
    dataset: Dataset, load: Load, name: str, earlier: AttemptResults
) -> tuple[TableState, TableIntent]:
    """Return a table above a nested one as before the load, and the load's intent for it.

    Nested tables are published before those above them, so as long as a nested table's commit can
    succeed, those are still as they were before the load.
    """
    intent = load.intent.of(name)
    table = dataset.load_table(name)
    if table is None:
        created: Transaction = creation(dataset, intent)
        return TableState(created.table_metadata, file_io(created), is_empty=True), intent
    transaction = table.transaction()
    adapt_schema(transaction, dataset.qualified(name), intent, is_dropped(table))
    metadata = transaction.table_metadata
    is_empty, rolled_back = intent.starts_empty, was_rolled_back(table)
    executor = dataset.rewrite_executor
    state = TableState(metadata, table.io, is_empty, rolled_back, earlier, executor)
    return state, intent
