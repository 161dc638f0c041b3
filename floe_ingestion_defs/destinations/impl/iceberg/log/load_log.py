"""`_dlt_loads`, the write-ahead log of a dataset: a load exists if and only if its row is there.

Appending the row is a load's commit point, and because each append asserts the snapshot it was
computed from, the rows are in a total order, `seq`. Everything else, including the data tables, can
be brought up to date from the log.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import BadRequestError, NamespaceAlreadyExistsError, RESTError
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import is_remote
from floe_ingestion_defs.destinations.impl.iceberg.catalog.uploads import uploading_together
from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import (
    CommitOutcomeUnknown,
    add_snapshot,
    asserted,
    create_table_transaction,
    load_table,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitConflict
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    data_path,
    write_data_file,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent, Release, TableIntent
from floe_ingestion_defs.destinations.impl.iceberg.log.compaction import is_due, rewrite
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    BLOCKED_PREFIX,
    LAST_SEQ,
    LOG_SCHEMA,
    MISSING_PREFIX,
    SETTLED_SEQ,
    Load,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.recent import forget_opened
from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.typedef import Identifier

LOG_PROPERTIES = {
    "write.metadata.delete-after-commit.enabled": "true",
    # A reader uses a metadata file for as long as it takes to read the log: at eight commits per
    # second, which is more than a catalog manages, it may take twelve seconds, and a reader that
    # took longer reads again.
    "write.metadata.previous-versions-max": "100",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "4",
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.seq": "full",
    "write.parquet.compression-codec": "zstd",
}


_READ_ATTEMPTS = 5
_CREATION_SECONDS = 10.0
# The logs that this process has looked up, and not found, on remote catalogs. Another process may
# have created one since.
_ABSENT: set[tuple[object, ...]] = set()


class LoadLog:
    """The log of one dataset.

    A catalog can begin to accept leading underscores, and a second log beside the first would load
    everything twice, so a log is found under either name. The other one is looked up only where
    there is no log under the expected one.

    Args:
        catalog: The catalog that holds the dataset.
        identifiers: The identifiers that the log can have, the one for a new log first.
        namespace_properties: The properties that its namespace is created with.
        looked_up: What was just found under some of the identifiers.

    Attributes:
        key: Identifies the log among those of all catalogs.
    """

    def __init__(
        self,
        catalog: Catalog,
        *identifiers: Identifier,
        namespace_properties: Mapping[str, str] = MappingProxyType({}),
        looked_up: Mapping[Identifier, Table | None] = MappingProxyType({}),
    ) -> None:
        self.catalog = catalog
        self._looked_up = dict(looked_up)
        self._namespace_properties = namespace_properties
        self.identifier = identifiers[0]
        self._identifiers = identifiers
        self._is_located = False
        self._peeked: LogView | None = None
        self._namespace = self.identifier[:-1]
        properties = catalog.properties
        self.key = (properties.get("uri"), properties.get("warehouse"), *identifiers)

    def read(
        self, known: LogView | None = None, beside: Callable[[Table], None] | None = None
    ) -> LogView | None:
        """Return the log as it is now, None for a dataset that nothing was ever loaded into.

        Args:
            known: The log as read before, which is returned if the log has not changed since.
            beside: Called with the log's table before its files are read.
        """

        def attempt() -> LogView | None:
            table = self._load_table()
            if table is None or (known is not None and known.is_of(table)):
                return known if table is not None else None
            if beside is not None:
                beside(table)
            return LogView(table)

        # Commits replace the metadata file that a slow reader was given.
        retrying = Retrying(
            retry=retry_if_exception_type(FileNotFoundError),
            stop=stop_after_attempt(_READ_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.02, max=1),
            reraise=True,
        )
        return retrying(attempt)

    def peek(self) -> LogView | None:
        """Return the log as it is now, to look loads up and not to commit.

        A log that has not changed is not read again: a load of 300 new tables looks it up for each.
        """
        self._peeked = self.read(self._peeked)
        return self._peeked

    def locate(self) -> Identifier:
        """Return the identifier that the log has; the expected one where there is no log."""
        if not self._is_located:
            self._load_table()
        return self.identifier

    def _load_table(self) -> Table | None:
        table = self._look_up(self.identifier)
        for other in self._identifiers if table is None else ():
            # A catalog that does not accept the name has no table under it.
            with suppress(BadRequestError):
                if other != self.identifier and (table := self._look_up(other)):
                    self.identifier = other
                    break
        self._is_located = self._is_located or table is not None
        if table is None:
            forget_opened(self.key)
        if table is None and is_remote(self.catalog):
            _ABSENT.add(self.key)
        else:
            _ABSENT.discard(self.key)
        return table

    def _look_up(self, identifier: Identifier) -> Table | None:
        if identifier in self._looked_up:
            found = self._looked_up.pop(identifier)
            return None if found is None else asserted(self.catalog, found)
        return load_table(self.catalog, identifier)

    def read_or_create(self, known: LogView | None = None) -> LogView:
        """Return the log as it is now, created together with its namespace on first use."""
        # A log cannot be in a namespace that did not exist, so that where none was found before
        # the extraction, the creation of the namespace takes the place of another look under both
        # names. A catalog that creates one over tables that exist conflicts below.
        created = self._begin_namespace() if self.key in _ABSENT else None
        if not created and (view := self.read(known)):
            return view
        is_absent = created is not None
        if created is None:
            # Of processes that begin together, one creates the namespace, and another one may have
            # created the log by now.
            created = is_absent = self.ensure_namespace()
        begins_namespace = created

        def attempt() -> LogView:
            nonlocal is_absent
            if not is_absent and (view := self.read()):
                return LogView(view.table, begins_namespace=begins_namespace)
            is_absent = False
            creation = create_table_transaction(
                self.catalog, self.identifier, schema=LOG_SCHEMA, properties=LOG_PROPERTIES
            )
            table = creation.commit_transaction()
            if begins_namespace:
                # The catalog's response is the table as it was created. Where another process can
                # still replace it, the commit of the load conflicts; see `load.run_load`.
                _ABSENT.discard(self.key)
                self._is_located = True
                return LogView(asserted(self.catalog, table), begins_namespace=True)
            # Of two processes that create it at the same time, some catalogs let both succeed.
            msg = "It is read again, because another process may have created it."
            raise CommitConflict(msg)

        name = ".".join(self.identifier)
        return commit_certainly(f"Creating {name}", attempt, _CREATION_SECONDS)

    def _begin_namespace(self) -> bool | None:
        """Return whether this call created the namespace, None if the catalog rejected it."""
        try:
            return self.ensure_namespace()
        except RESTError:  # Such as a missing right: if there is a log, the namespace exists.
            return None

    def ensure_namespace(self) -> bool:
        """Create the namespace if it does not exist, also if another process is creating it.

        Returns:
            Whether this call created it.
        """
        try:
            self.catalog.create_namespace(self._namespace, dict(self._namespace_properties))
        except NamespaceAlreadyExistsError:
            return False
        except Exception:
            # A boundary: where it exists, a catalog may reject the request for lack of a right, and
            # to the loser of a race its driver raises any exception, SqlCatalog's an
            # IntegrityError of SQLAlchemy.
            if not self.catalog.namespace_exists(self._namespace):
                raise
            return False
        return True

    def append(
        self, view: LogView, load: Load, missing: Mapping[str, str | None] = MappingProxyType({})
    ) -> LogView:
        """Append a load's row to the log as it was read: this is the commit point.

        Args:
            view: The log as it was read.
            load: The load.
            missing: For tables, the ids of the loads that each lacks; None for a table that lacks
                none any more.

        Returns:
            The log with the row.

        Raises:
            CommitConflict: Another load was committed since; this one was not.
            CommitOutcomeUnknown: It may have been committed or not.
        """
        forget_opened(self.key)
        table, row = view.table, load.as_row()
        path = data_path(table.metadata, f"{load.seq:08d}")
        transaction = table.transaction()
        with uploading_together(table.io) as io:
            write_data_file(io, table.metadata, path, row.to_batches())
            file = data_file_from_footer(table.metadata, io, path)
            add_snapshot(transaction, [file], io=io)
        known = {MISSING_PREFIX + table: loads for table, loads in missing.items() if loads}
        transaction.set_properties({LAST_SEQ: str(load.seq), **known})
        healed = {MISSING_PREFIX + table for table, loads in missing.items() if not loads}
        if healed := healed.intersection(table.properties):
            transaction.remove_properties(*healed)
        transaction.commit_transaction()
        return view.with_appended(path, row)

    def record(
        self, view: LogView, settled_seq: int, blocked: Mapping[str, str | None] | None = None
    ) -> bool:
        """Record what is settled and what is blocked, unless another writer is committing.

        It saves later openers from looking at the tables again. The commit adds a snapshot without
        rows: catalogs check a commit against the snapshot that it asserts, so one of properties
        alone would not conflict with another writer's.

        Args:
            view: The log as it was read, and all that the other arguments were computed from.
            settled_seq: Every load up to this one is published, blocked or released.
            blocked: For the root of each tree of tables, the seq of the first load that cannot be
                published to it and the name of the error's class; None for a tree that is free.

        Returns:
            Whether it is recorded. Where it is not, it must be computed again from the log as it
            is now: another writer may have freed a tree whose loads were counted as settled.
        """
        known = view.table.properties
        wanted = {BLOCKED_PREFIX + table: value for table, value in (blocked or {}).items()}
        freed = [name for name, value in wanted.items() if value is None and name in known]
        changed = {
            name: value
            for name, value in wanted.items()
            if value is not None and known.get(name) != value
        }
        if view.settled_seq < settled_seq:
            changed[SETTLED_SEQ] = str(settled_seq)
        if not changed and not freed:
            return True
        try:
            with view.table.transaction() as transaction:
                add_snapshot(transaction, ())
                if changed:
                    transaction.set_properties(changed)
                if freed:
                    transaction.remove_properties(*freed)
        except (CommitConflict, CommitOutcomeUnknown):
            return False
        return True

    def compact_if_due(self, view: LogView) -> bool:
        """Rewrite the log into one file once it has many.

        Returns:
            Whether the log was compacted.
        """
        if not is_due(view.table):
            return False
        # Also as a property, since the newest row's own record may be among the older ones.
        return rewrite(view.table, compacted_rows(view), {SETTLED_SEQ: str(view.settled_seq)})


def compacted_rows(view: LogView) -> pa.Table:
    """Return the rows of a log with all that will be read of them again.

    A settled load's intent is not read again, except for the trees of tables that the load is
    blocked for; of the states only each pipeline's newest is. dlt's own columns stay for every
    load. Of each table's newest settled load the table's name stays: by it, a table that is
    restored from an older backup is known to lack that load.
    """
    rows = view.table.scan().to_arrow().sort_by("seq").select(LOG_SCHEMA.names)
    rows = rows.cast(LOG_SCHEMA)
    has_state = rows.filter(pc.field("state_version").is_valid())
    newest = has_state.group_by("pipeline_name").aggregate([("seq", "max")])["seq_max"]
    keep_state = pc.is_in(rows["seq"], value_set=newest.combine_chunks())
    states = pc.if_else(keep_state, rows["state"], pa.scalar(None, pa.string()))
    newer = _Newer()
    intents = [
        _still_needed(view, row["seq"], row["intent"], newer) if row["intent"] else None
        for row in reversed(rows.select(["seq", "intent"]).to_pylist())
    ][::-1]
    for name, column in (("state", states), ("intent", pa.array(intents, pa.string()))):
        rows = rows.set_column(rows.schema.get_field_index(name), LOG_SCHEMA.field(name), column)
    return rows


@dataclass
class _Newer:
    """What the newer settled loads have: the tables that they name, and the loads they release."""

    tables: set[str] = field(default_factory=set)
    released: set[Release] = field(default_factory=set)


def _still_needed(view: LogView, seq: int, encoded: str, newer: _Newer) -> str | None:
    intent = LoadIntent.model_validate_json(encoded)
    newer.released |= set(intent.releases)
    if seq > view.settled_seq:
        return encoded
    blocked = {table for table, first in view.blocked.items() if first <= seq}
    kept: list[TableIntent] = []
    for table in intent.tables:
        if table.tree in blocked:
            kept.append(table)
        elif Release(seq=seq, table=table.table) in newer.released:
            continue
        elif table.table not in newer.tables:
            kept.append(TableIntent(table=table.table, disposition=table.disposition))
        newer.tables.add(table.table)
    needed = LoadIntent(tables=tuple(kept), releases=intent.releases if blocked else ())
    return needed.model_dump_json() if needed != LoadIntent() else None
