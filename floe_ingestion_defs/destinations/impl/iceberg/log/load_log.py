"""`_dlt_loads`, the write-ahead log of a dataset: a load exists if and only if its row is there.

Appending the row is a load's commit point, and because each append asserts the snapshot it was
computed from, the rows are in a total order, `seq`. Everything else, the data tables included, can
be brought up to date from here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.destinations.impl.iceberg.commits import (
    CommitOutcomeUnknown,
    add_snapshot,
    attempts,
    create_table_transaction,
    load_table,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitConflict
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_path,
    describe,
    write_data_file,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.compaction import is_due, rewrite
from floe_ingestion_defs.destinations.impl.iceberg.log.view import (
    LOG_SCHEMA,
    SETTLED_PROPERTY,
    Load,
    LogView,
)

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

LOADS_TABLE = "_dlt_loads"

LOG_PROPERTIES = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "4",
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.seq": "full",
    "write.parquet.compression-codec": "zstd",
}


class LoadLog:
    """The log of one dataset.

    Args:
        catalog: The catalog that holds the dataset.
        identifier: The log's identifier.
    """

    def __init__(self, catalog: Catalog, identifier: tuple[str, ...]) -> None:
        self.catalog = catalog
        self.identifier = identifier
        self._namespace = identifier[:-1]

    def read(self, known: LogView | None = None) -> LogView | None:
        """The log as it is now, None for a dataset that nothing was ever loaded into.

        Args:
            known: What was read before, which is enough where the log has not moved since.
        """
        table = load_table(self.catalog, self.identifier)
        if table is None:
            return None
        return known if known is not None and known.is_of(table) else LogView(table)

    def read_or_create(self, known: LogView | None = None) -> LogView:
        """The log as it is now, made together with its namespace on first use."""
        if view := self.read(known):
            return view
        self.ensure_namespace()
        creation = create_table_transaction(
            self.catalog, self.identifier, schema=LOG_SCHEMA, properties=LOG_PROPERTIES
        )
        try:
            with suppress(CommitConflict):  # Another process may create it in between.
                creation.commit_transaction()
        except CommitOutcomeUnknown as error:
            if view := self.read():
                return view
            raise error.cause from error
        for _ in attempts(f"Creating {'.'.join(self.identifier)}", deadline_seconds=10):
            if view := self.read():
                return view
        msg = "unreachable"
        raise AssertionError(msg)

    def ensure_namespace(self) -> None:
        """Makes the namespace if it is not there, whoever else is making it just now."""
        if self.catalog.namespace_exists(self._namespace):
            return
        try:
            self.catalog.create_namespace(self._namespace)
        except Exception:
            # A boundary: who loses this race is told so by whatever the catalog's driver raises,
            # SqlCatalog's by an IntegrityError of SQLAlchemy.
            if not self.catalog.namespace_exists(self._namespace):
                raise

    def append(self, view: LogView, load: Load) -> LogView:
        """Appends a load's row to the log as it was read: this is the commit point.

        Returns:
            The log with the row.

        Raises:
            CommitConflict: Another load was committed since; this one was not.
            CommitOutcomeUnknown: It may have been committed or not.
        """
        table, row = view.table, load.as_row()
        path = data_path(table.metadata, f"{load.seq:08d}")
        write_data_file(table.io, table.metadata, path, row.to_batches())
        with table.transaction() as transaction:
            add_snapshot(transaction, [describe(table.metadata, table.io, path)])
        return view.with_appended(path, row)

    def record_settled(self, view: LogView, seq: int) -> None:
        """Records that every load up to `seq` is published, if nobody is committing just now.

        It saves later openers from looking at the tables again; a committer that wins instead
        records what it finds.
        """
        for attempt in range(3):
            if view.settled_seq >= seq:
                return
            try:
                with view.table.transaction() as transaction:
                    transaction.set_properties({SETTLED_PROPERTY: str(seq)})
                return
            except (CommitConflict, CommitOutcomeUnknown):
                moved = None if attempt == 2 else self.read()
                if moved is None:
                    return
                view = moved

    def compact_if_due(self, view: LogView) -> bool:
        """Rewrites the log into one file once it has many.

        Returns:
            Whether the log was compacted.
        """
        if not is_due(view.table):
            return False
        # Also as a property, since the newest row's own record may be among the older ones.
        return rewrite(view.table, slim(view), {SETTLED_PROPERTY: str(view.settled_seq)})


def slim(view: LogView) -> pa.Table:
    """The rows of a log with all that is ever read of them again.

    A settled load's intent is not, and of the states only each pipeline's newest is; dlt's own
    columns stay for every load.
    """
    rows = view.table.scan().to_arrow().sort_by("seq").select(LOG_SCHEMA.names)
    rows = rows.cast(LOG_SCHEMA)
    has_state = rows.filter(pc.field("state_version").is_valid())
    newest = has_state.group_by("pipeline_name").aggregate([("seq", "max")])["seq_max"]
    keep_state = pc.is_in(rows["seq"], value_set=newest.combine_chunks())
    keep_intent = pc.greater(rows["seq"], view.settled_seq)
    for name, keep in (("state", keep_state), ("intent", keep_intent)):
        kept = pc.if_else(keep, rows[name], pa.scalar(None, pa.string()))
        rows = rows.set_column(rows.schema.get_field_index(name), LOG_SCHEMA.field(name), kept)
    return rows
