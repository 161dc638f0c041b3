"""The publication of one load to one table: one commit, which also moves the table's watermark."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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
    DETERMINISTIC_ERRORS,
    ReadTooLongAgo,
    UnpublishableRows,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.statistics import metrics_of_keys
from floe_ingestion_defs.destinations.impl.iceberg.log.due import (
    LOOK_UP_AGAIN_SECONDS,
    is_due,
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

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction

    from floe_ingestion_defs.destinations.impl.iceberg.commits.own_load import OwnLoad
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent

# A creation conflicts if another process created the table first; then the table exists.
_MOST_CREATIONS = 5


class Publication:
    """One load's publication to one table, over all attempts at its commit.

    Args:
        dataset: The dataset.
        log_uuid: The log that the load is in.
        load: The load.
        intent: What it does to the table.
        read: When the load was found in the log.
        own: The load that this process has just committed.
    """

    def __init__(
        self,
        dataset: Dataset,
        log_uuid: str,
        load: Load,
        intent: TableIntent,
        read: Since,
        own: OwnLoad | None = None,
    ) -> None:
        self._dataset = dataset
        self._log_uuid = log_uuid
        self._load = load
        self._intent = intent
        self._read = read
        self._own = own
        self._name = dataset.qualified(intent.table)
        # For the first attempt: the table as it was staged, and whether the load is in the log.
        self._staged = own.take(load, intent) if own else None
        self._is_confirmed = own is not None and own.is_confirmed(load)
        self._conflicting_creations = 0
        self._earlier, self._began = AttemptResults(), Since()

    def run(self) -> None:
        """Publish the load to the table, unless it is published already.

        Raises:
            IncompatibleSchema: The table was changed after the load was audited.
            UnpublishableRows: The load's rows cannot be published to the table.
            CommitContention: Other writers won every attempt within the time limit.
            ReadTooLongAgo: The process slept for a day in an attempt, and again in the next one.
        """
        commit_certainly(f"Publishing load {self._load.load_id} to {self._name}", self._attempt)
        if self._began.seconds >= LOOK_UP_AGAIN_SECONDS:
            # The load may have been released while this publisher was suspended in its commit.
            remove_published(self._dataset, self._log_uuid, self._intent.table)

    def _attempt(self) -> None:
        self._began = Since()
        if self._earlier.since.is_too_long:
            self._earlier = AttemptResults()  # The files of earlier attempts may have been swept.
        try:
            self._publish_on_head()
        except DETERMINISTIC_ERRORS as error:
            # What a process finds that slept says nothing about the load: it may have been
            # published meanwhile, its files replaced by a compaction and deleted by an expiry.
            if self._earlier.since.is_too_long:
                raise ReadTooLongAgo(str(error)) from error
            raise

    def _publish_on_head(self) -> None:
        staged, self._staged = self._staged, None
        table = (
            staged.current
            if staged
            else self._dataset.load_table(self._intent.table, self._earlier.since)
        )
        if table is None:
            self._count_creation()
        if watermark_of(table, self._log_uuid) < self._load.seq and self._is_due(table):
            if table is not None:
                transaction = table.transaction()
                adapt_schema(transaction, self._name, self._intent, is_dropped(table))
            elif staged and staged.creation:
                transaction = same_creation(staged.creation)
            else:
                transaction = creation(self._dataset, self._intent)
            self._commit(transaction, table)

    def _count_creation(self) -> None:
        self._conflicting_creations += 1
        if self._conflicting_creations > _MOST_CREATIONS:
            msg = (
                f"`{self._name}` cannot be created, but is not a table: another object of the "
                "catalog, such as a view, may have its name"
            )
            raise UnpublishableRows(msg)

    def _is_due(self, table: Table | None) -> bool:
        """Return whether the load is still to be published; where it may not be, read the log."""
        looked_up, is_confirmed = Since(), self._is_confirmed
        if not is_due(
            self._dataset,
            self._log_uuid,
            self._load,
            self._intent,
            table,
            self._read,
            is_confirmed=is_confirmed,
        ):
            return False
        if self._own is not None and table is None and not is_confirmed:
            self._own.confirm(self._load, looked_up)
        self._is_confirmed = False
        return True

    def _commit(self, transaction: Transaction, table: Table | None) -> None:
        load = self._load
        intent = _with_later_boundary(self._intent, table)
        _set_properties(transaction, self._log_uuid, load, intent, table)
        state = TableState(
            transaction.table_metadata,
            file_io(transaction),
            table is None,
            earlier=self._earlier,
            executor=self._dataset.rewrite_executor,
        )
        try:
            change = compute_change(state, intent, self._table_before)
        except DETERMINISTIC_ERRORS as error:
            msg = f"{type(error).__name__}: {error}"
            raise UnpublishableRows(msg) from error
        if change.added or change.removed:
            summary = {
                SUMMARY_LOAD_ID: load.load_id,
                SUMMARY_LOAD_UID: load.load_uid,
                SUMMARY_LOG_UUID: self._log_uuid,
                SUMMARY_SEQ: str(load.seq),
            }
            if load.intent.releases:
                summary[SUMMARY_RELEASED_SEQ] = str(load.intent.releases[0].seq)
            snapshot_id = add_snapshot(transaction, change.added, change.removed, summary)
            transaction.set_properties({PUBLISHED_SNAPSHOT: str(snapshot_id)})
            expire_in(transaction)
        transaction.commit_transaction()

    def _table_before(self, name: str) -> tuple[TableState, TableIntent]:
        """Return a table above a nested one as before the load, and the load's intent for it.

        Nested tables are published before those above them, so as long as a nested table's commit
        can succeed, those are still as they were before the load.
        """
        dataset, intent = self._dataset, self._load.intent.of(name)
        table = dataset.load_table(name)
        if table is None:
            created: Transaction = creation(dataset, intent)
            return TableState(created.table_metadata, file_io(created), is_empty=True), intent
        transaction = table.transaction()
        adapt_schema(transaction, dataset.qualified(name), intent, is_dropped(table))
        state = TableState(
            transaction.table_metadata,
            table.io,
            intent.starts_empty,
            was_rolled_back(table),
            self._earlier,
            dataset.rewrite_executor,
        )
        return state, intent


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
