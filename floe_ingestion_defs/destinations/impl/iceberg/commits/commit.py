"""Commits that assert the state that they were computed from.

Every commit of the destination asserts the table exactly as it was read: its uuid, the head of
`main` and the current schema. That makes a commit whose outcome is unknown harmless, since another
attempt on a fresh read can never apply it twice.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from pyiceberg.manifest import DataFileContent
from pyiceberg.table import CreateTableTransaction, Table, Transaction
from pyiceberg.table.snapshots import Operation

from floe_ingestion_defs.destinations.impl.iceberg.catalog.manifest_merge import Append
from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import (
    Overwrite,
    file_io,
    table_of,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.replace_snapshot import (
    Replace,
    RewriteManifests,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.shared_history import share_history
from floe_ingestion_defs.destinations.impl.iceberg.catalog.table_location import (
    stage_creation,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.uploads import uploading_together
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    CommitConflict,
    LocationInUse,
    ReadTooLongAgo,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.names import commit_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import CommitTableResponse, StagedTable
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate
    from pyiceberg.table.update.snapshot import _SnapshotProducer

ENGINE_NAME = "floe-ingestion"
_DISTRIBUTION = "floe-ingestion-defs"


class CommitOutcomeUnknown(Exception):
    """A commit failed in a way that leaves open whether it was applied. Reload and recompute.

    Attributes:
        cause: What the catalog raised.
    """

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(f"{type(cause).__name__}: {cause}")


class AssertingCatalog:
    """A catalog whose table commits assert everything they were computed from.

    pyiceberg 0.12 asserts only what a transaction happened to change, keeps one requirement per
    type, retries a conflict by itself on metadata that the caller has not seen, and deletes the
    manifests of a commit that it considers failed, even where the conflict response came from a
    retry of a request that had been applied (the retries came with iceberg-python pull request
    3320; Java has the same defect, iceberg issue 14583). It does the last two for
    `CommitFailedException` only, so here a conflict is a different exception.
    """

    def __init__(self, catalog: Catalog, since: Since) -> None:
        self._catalog = catalog
        self._read = since

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """Commit `updates` if the table is still the one that they were computed from.

        Raises:
            CommitConflict: The table was changed or dropped; nothing was applied.
            ReadTooLongAgo: The table was read so long ago that files which were written for this
                commit may have been swept; nothing was applied.
            CommitOutcomeUnknown: The commit may or may not have been applied.
        """
        from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
        from pyiceberg.table.update import (
            AssertCurrentSchemaId,
            AssertRefSnapshotId,
            AssertTableUUID,
            RemoveSnapshotsUpdate,
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
        if any(isinstance(update, RemoveSnapshotsUpdate) for update in updates):
            # A catalog drops the branches and tags of a removed snapshot, too.
            others += tuple(
                AssertRefSnapshotId(ref=name, snapshot_id=ref.snapshot_id)
                for name, ref in metadata.refs.items()
                if name != "main"
            )
        try:
            return self._catalog.commit_table(table, (*asserted, *others), updates)
        except (CommitFailedException, NoSuchTableError) as conflict:
            raise CommitConflict(str(conflict)) from conflict
        except Exception as error:
            # A boundary: catalogs raise any exception of their drivers, and none of them means that
            # the commit was rejected.
            raise CommitOutcomeUnknown(error) from error


def _require_recent(read: Since) -> None:
    if read.is_too_long:
        msg = (
            f"The table was read {read.seconds / 3600:.0f} hours ago, and files that were written "
            "for this commit may have been swept as orphans. Read again."
        )
        raise ReadTooLongAgo(msg)


def load_table(
    catalog: Catalog, identifier: tuple[str, ...], since: Since | None = None
) -> Table | None:
    """Return the table as it is now, or None where there is none; its commits assert that state.

    Args:
        catalog: The catalog.
        identifier: The table's identifier.
        since: When the oldest file that a commit may add was written, by default this read.

    Raises:
        NoSuchIcebergTableError: Glue or Hive has a table of another format under the name.
    """
    from pyiceberg.exceptions import (
        NoSuchIcebergTableError,
        NoSuchNamespaceError,
        NoSuchTableError,
    )

    try:
        table = catalog.load_table(identifier)
    except NoSuchIcebergTableError:
        raise
    except (NoSuchTableError, NoSuchNamespaceError):
        return None
    return asserted(catalog, table, since)


def asserted(catalog: Catalog, table: Table, since: Since | None = None) -> Table:
    """Return a table as it was just read or created, whose commits assert that state."""
    return _AssertedTable(
        table.name(),
        share_history(table.metadata),
        table.metadata_location,
        table.io,
        cast("Catalog", AssertingCatalog(catalog, since or Since())),
        table.config,
    )


class _AssertedTransaction(Transaction):
    """A transaction that applies its updates once, and whose snapshots are never in the past.

    pyiceberg 0.12 applies all updates again at each access to the metadata, some thirty times per
    commit, which is a third of the time that a commit takes. Delete this when
    `Transaction.table_metadata` is no longer computed at each access.
    """

    _applied: tuple[object, TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        if self._applied is None or self._applied[0] is not self._updates:
            self._applied = (self._updates, super().table_metadata)
        return self._applied[1]

    def _apply(self, updates: tuple[TableUpdate, ...], *arguments: Any, **keywords: Any) -> Any:
        timed = tuple(self._in_order(update) for update in updates)
        return super()._apply(timed, *arguments, **keywords)

    def _in_order(self, update: TableUpdate) -> TableUpdate:
        """Return the update with a snapshot that is not older than the last one.

        Iceberg Java rejects a table whose snapshot log is out of order by more than a minute, and a
        worker's clock can be behind by more than that.
        """
        from pyiceberg.table.update import AddSnapshotUpdate

        # An earlier update of this transaction may have the time of a clock that is behind.
        read = table_of(self).metadata
        newest = max(read.last_updated_ms, self.table_metadata.last_updated_ms)
        if not isinstance(update, AddSnapshotUpdate) or update.snapshot.timestamp_ms >= newest:
            return update
        snapshot = update.snapshot.model_copy(update={"timestamp_ms": newest})
        return AddSnapshotUpdate(snapshot=snapshot)


class _AssertedTable(Table):
    def transaction(self) -> Transaction:
        return _AssertedTransaction(self)


class _AssertedCreation(_AssertedTransaction, CreateTableTransaction):
    """The creation of a table, with the same outcomes as other commits here."""

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
    catalog: Catalog, identifier: tuple[str, ...], table_uuid: str | None = None, **arguments: Any
) -> CreateTableTransaction:
    """Return a transaction that creates a table, or conflicts with another writer's creation.

    The table gets a location without files of another table; see `stage_creation`.

    Args:
        catalog: The catalog.
        identifier: The table's identifier.
        table_uuid: The uuid of the table, None for a new one. A REST catalog may give another.
        arguments: Those of pyiceberg's `Catalog.create_table_transaction`.

    Raises:
        CommitConflict: Another process has just created the table.
        LocationInUse: The catalog accepts no free location for the table.
    """
    try:
        staged = table_of(stage_creation(catalog, identifier, **arguments))
    except LocationInUse as in_use:
        # The files belong to the table that another process has just created.
        if catalog.table_exists(identifier):
            raise CommitConflict(str(in_use)) from in_use
        raise
    if table_uuid is not None:
        staged.metadata = staged.metadata.model_copy(update={"table_uuid": UUID(table_uuid)})
    return _AssertedCreation(cast("StagedTable", staged))


def same_creation(transaction: CreateTableTransaction) -> CreateTableTransaction:
    """Return a transaction that creates the same table, without the changes since it began."""
    return _AssertedCreation(cast("StagedTable", table_of(transaction)))


def add_snapshot(
    transaction: Transaction,
    added: Iterable[DataFile],
    removed: Iterable[DataFile] = (),
    summary: Mapping[str, str] | None = None,
    io: FileIO | None = None,
) -> int:
    """Add to the transaction one snapshot in which files are added and removed.

    Args:
        transaction: A transaction on a table, or its creation.
        added: The data files and delete files to add.
        removed: Those to remove; with a data file go the delete files that name it alone.
        summary: Further entries of the snapshot's summary, besides the engine.
        io: What writes the manifests, by default the table's FileIO.

    Returns:
        The snapshot's id.
    """
    added, removed = list(added), list(removed)
    summary = {**_engine(), **(summary or {})}
    is_append = not removed and all(file.content == DataFileContent.DATA for file in added)
    with uploading_together(io or file_io(transaction)) as io:
        producer: _SnapshotProducer[Any] = (
            Append(Operation.APPEND, transaction, io, snapshot_properties=summary)
            if is_append
            else Overwrite(transaction, io, summary)
        )
        with producer as snapshot:
            _fill(snapshot, transaction, added, removed)
    return int(snapshot.snapshot_id)


def replace_files(
    transaction: Transaction,
    added: Iterable[DataFile],
    removed: Iterable[DataFile],
    summary: Mapping[str, str],
) -> None:
    """Add to the transaction one snapshot with the same rows in other files.

    Args:
        transaction: A transaction on a table.
        added: The data files to add.
        removed: The data files and delete files to remove.
        summary: Further entries of the snapshot's summary, besides the engine.
    """
    with Replace(transaction, file_io(transaction), {**_engine(), **summary}) as snapshot:
        _fill(snapshot, transaction, added, removed)


def replace_manifests(transaction: Transaction, summary: Mapping[str, str]) -> int:
    """Add to the transaction one snapshot with the same files in fewer manifests.

    Returns:
        The number of manifests.
    """
    rewrite = RewriteManifests(transaction, file_io(transaction), {**_engine(), **summary})
    with rewrite as snapshot:
        _fill(snapshot, transaction, (), ())
    return rewrite.manifests


def _fill(
    snapshot: _SnapshotProducer[Any],
    transaction: Transaction,
    added: Iterable[DataFile],
    removed: Iterable[DataFile],
) -> None:
    snapshot.commit_uuid = commit_uuid(transaction.table_metadata)
    for data_file in removed:
        snapshot.delete_data_file(data_file)
    for data_file in added:
        snapshot.append_data_file(data_file)


@cache
def _engine() -> dict[str, str]:
    """Return the summary fields by which, as Iceberg specifies, a snapshot names its engine."""
    engine = {"engine-name": ENGINE_NAME}
    with suppress(PackageNotFoundError):  # A copy of the sources that was never installed.
        engine["engine-version"] = version(_DISTRIBUTION)
    return engine


def head_of(table: Table) -> int | None:
    """Return the id of the snapshot that `main` refers to, None before the first snapshot."""
    ref = table.metadata.refs.get("main")
    return ref.snapshot_id if ref else None
