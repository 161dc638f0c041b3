"""Commits that are certain about what they were computed from.

Every commit of the destination asserts the table exactly as it was read: its uuid, the head of
`main` and the current schema. That makes a commit whose outcome is unknown harmless, since asking
again on a fresh read can never apply it twice.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pyiceberg.table import CreateTableTransaction, Table, TableProperties, Transaction

from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import table_of
from floe_ingestion_defs.destinations.impl.iceberg.catalog.table_location import (
    stage_creation,
)
from floe_ingestion_defs.destinations.impl.iceberg.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    CommitConflict,
    CommitContention,
    ReadTooLongAgo,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.names import commit_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import CommitTableResponse, StagedTable
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate

T = TypeVar("T")

ENGINE_NAME = "floe-ingestion"
_DISTRIBUTION = "floe-ingestion-defs"
COMMIT_DEADLINE_SECONDS = 120.0
# A catalog whose answers are lost this often is given up on: it is gone rather than unlucky.
_MOST_UNKNOWN_OUTCOMES = 3


class CommitOutcomeUnknown(Exception):
    """A commit went wrong in a way that does not say whether it was applied. Read again.

    Attributes:
        cause: What the catalog raised.
    """

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(f"{type(cause).__name__}: {cause}")


class AssertingCatalog:
    """A catalog whose table commits assert everything they were computed from.

    pyiceberg asserts only what a transaction happened to touch, keeps one requirement of a type,
    retries a conflict by itself on metadata that nobody looked at, and deletes the manifests of a
    commit that it believes to have failed, even where the conflict answer came from a retry of a
    request that had been applied. It does the last two for `CommitFailedException` only, so here a
    conflict gets a name of its own.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._read = Since()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """Commits `updates` if the table is still the one that they were computed from.

        Raises:
            CommitConflict: The table has moved, or is gone; nothing was applied.
            ReadTooLongAgo: The table was read so long ago that files which were written for this
                commit may have been swept; nothing was applied.
            CommitOutcomeUnknown: The commit may or may not have been applied.
        """
        from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
        from pyiceberg.table.update import (
            AssertCurrentSchemaId,
            AssertRefSnapshotId,
            AssertTableUUID,
        )

        _require_recent(self._read)
        metadata = table.metadata
        asserted = (
            AssertTableUUID(uuid=metadata.table_uuid),
            AssertRefSnapshotId(ref="main", snapshot_id=head_of(table)),
            AssertCurrentSchemaId(current_schema_id=metadata.current_schema_id),
        )
        replaced = tuple(type(requirement) for requirement in asserted)
        others = tuple(r for r in requirements if not isinstance(r, replaced))
        try:
            return self._catalog.commit_table(table, (*asserted, *others), updates)
        except (CommitFailedException, NoSuchTableError) as conflict:
            raise CommitConflict(str(conflict)) from conflict
        except Exception as error:
            # A boundary: catalogs raise whatever their drivers do, and none of it says no.
            raise CommitOutcomeUnknown(error) from error


def _require_recent(read: Since) -> None:
    if read.is_too_long:
        msg = (
            f"The table was read {read.seconds / 3600:.0f} hours ago, and files that were written "
            "for this commit may have been swept as orphans. Read again."
        )
        raise ReadTooLongAgo(msg)


def load_table(catalog: Catalog, identifier: tuple[str, ...]) -> Table | None:
    """The table as it is now, or None where there is none; its commits assert that state."""
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    try:
        table = catalog.load_table(identifier)
    except (NoSuchTableError, NoSuchNamespaceError):
        return None
    return _AssertedTable(
        table.name(),
        table.metadata,
        table.metadata_location,
        table.io,
        cast("Catalog", AssertingCatalog(catalog)),
        table.config,
    )


class _Remembering(Transaction):
    """A transaction that applies its updates to the table's metadata once, and not at each look.

    pyiceberg looks some thirty times in a commit, a third of the time that one takes.
    """

    _applied: tuple[object, TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        if self._applied is None or self._applied[0] is not self._updates:
            self._applied = (self._updates, super().table_metadata)
        return self._applied[1]


class _AssertedTable(Table):
    def transaction(self) -> Transaction:
        return _Remembering(self)


class _AssertedCreation(_Remembering, CreateTableTransaction):
    """The creation of a table, with the outcomes of any other commit here."""

    def __init__(self, table: StagedTable) -> None:
        super().__init__(table)
        self._read = Since()

    def commit_transaction(self) -> Table:
        from pyiceberg.exceptions import CommitFailedException, TableAlreadyExistsError

        _require_recent(self._read)
        try:
            return super().commit_transaction()
        except (CommitFailedException, TableAlreadyExistsError) as conflict:
            raise CommitConflict(str(conflict)) from conflict
        except Exception as error:
            # The same boundary as in AssertingCatalog.
            raise CommitOutcomeUnknown(error) from error


def create_table_transaction(
    catalog: Catalog, identifier: tuple[str, ...], **arguments: Any
) -> CreateTableTransaction:
    """Return a transaction that creates a table, or conflicts with another writer's creation.

    The table gets a location without files of another table: see `stage_creation`.

    Args:
        catalog: The catalog.
        identifier: The table's identifier.
        arguments: As for pyiceberg's `Catalog.create_table_transaction`.
    """
    transaction = stage_creation(catalog, identifier, **arguments)
    return _AssertedCreation(cast("StagedTable", table_of(transaction)))


def add_snapshot(
    transaction: Transaction,
    added: Iterable[DataFile],
    removed: Iterable[DataFile] = (),
    summary: Mapping[str, str] | None = None,
) -> None:
    """Adds to the transaction one snapshot in which data files come and go.

    Args:
        transaction: Of a table, or of its creation.
        added: The files that come.
        removed: The files that go.
        summary: What the snapshot's summary says besides the engine.
    """
    removed = list(removed)
    update = transaction.update_snapshot(snapshot_properties={**_engine(), **(summary or {})})
    properties = transaction.table_metadata.properties
    merging = properties.get(TableProperties.MANIFEST_MERGE_ENABLED) == "true"
    append = update.merge_append if merging else update.fast_append
    with update.overwrite() if removed else append() as snapshot:
        snapshot.commit_uuid = commit_uuid(transaction.table_metadata)
        for data_file in removed:
            snapshot.delete_data_file(data_file)
        for data_file in added:
            snapshot.append_data_file(data_file)


@cache
def _engine() -> dict[str, str]:
    """Return the fields by which Iceberg's specification has a snapshot name its engine."""
    engine = {"engine-name": ENGINE_NAME}
    with suppress(PackageNotFoundError):  # A copy of the sources that was never installed.
        engine["engine-version"] = version(_DISTRIBUTION)
    return engine


def head_of(table: Table) -> int | None:
    """The snapshot id that `main` stands at, None before the first snapshot."""
    ref = table.metadata.refs.get("main")
    return ref.snapshot_id if ref else None


def commit_certainly(
    what: str, attempt: Callable[[], T], deadline_seconds: float = COMMIT_DEADLINE_SECONDS
) -> T:
    """Attempts a commit until it is known to be there.

    Args:
        what: What is being committed, for the error.
        attempt: Reads, returns if the commit is there already, and else makes it on what it read.
            That is what settles an unknown outcome too.
        deadline_seconds: No attempt starts later than this many seconds after the first.

    Raises:
        CommitContention: Other writers won every attempt within the time.
        Exception: What the catalog raised, where time and again it did not say what became of it.
    """
    try:
        return _commit_certainly(what, attempt, deadline_seconds)
    except ReadTooLongAgo:
        # The time that a process was suspended is not time in which other writers won.
        return _commit_certainly(what, attempt, deadline_seconds)


def _commit_certainly(what: str, attempt: Callable[[], T], deadline_seconds: float) -> T:
    unknown = 0
    for _ in attempts(what, deadline_seconds):
        try:
            return attempt()
        except ReadTooLongAgo:
            raise
        except CommitConflict:
            continue
        except CommitOutcomeUnknown as error:
            unknown += 1
            if unknown == _MOST_UNKNOWN_OUTCOMES:
                raise error.cause from error
    msg = "unreachable"
    raise AssertionError(msg)


def attempts(what: str, deadline_seconds: float = COMMIT_DEADLINE_SECONDS) -> Iterator[int]:
    """Numbers the attempts at a contended commit, waiting with jitter between them.

    Args:
        what: What is being committed, for the error.
        deadline_seconds: No attempt starts later than this many seconds after the first.

    Raises:
        CommitContention: The time is up.
    """
    started = time.monotonic()
    attempt = 0
    while True:
        yield attempt
        if time.monotonic() - started > deadline_seconds:
            msg = (
                f"{what} met other writers in each of {attempt + 1} attempts within "
                f"{deadline_seconds:.0f} seconds. Run it again, or run fewer writers at once."
            )
            raise CommitContention(msg)
        # Full jitter. A conflict means that somebody got on, so the wait grows slowly: doubled, it
        # left the last of 8 writers asleep for as long as all the others took together.
        time.sleep(random.uniform(0, min(0.02 * 1.6**attempt, 1.0)))  # noqa: S311
        attempt += 1
