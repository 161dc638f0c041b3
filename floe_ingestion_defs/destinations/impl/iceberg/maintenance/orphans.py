"""The orphan sweep: it lists files that nothing refers to, and deletes this dataset's own.

A file is deleted if its name shows that this dataset wrote it and no other table of the catalog
uses its folder. Any other file is listed with the doubt about it, and deleted only by its path.
"""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.admission.log import require_whole_log
from floe_ingestion_defs.destinations.impl.iceberg.branch.clone_tables import own_locations
from floe_ingestion_defs.destinations.impl.iceberg.catalog.confinement import require_own
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import DELETE_AFTER_SECONDS
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import (
    StoredFile,
    folder_key,
    list_files,
    parent_folders,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.names import (
    is_data_file,
    is_named_by,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOG_UUID
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.other_tables import (
    TABLES_AT_ONCE,
    OtherTables,
    find_other_tables,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.recent_snapshots import (
    recent_manifest_lists,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.references import References

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pyiceberg.io import FileIO
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

logger = logging.getLogger(__name__)

_METADATA_FILE = re.compile(r"\d+-[0-9a-f-]{36}\.metadata\.json")


@dataclass(frozen=True)
class Orphan(StoredFile):
    """A file that nothing refers to.

    Attributes:
        doubt: Why it may be kept on purpose; None for a file that this dataset wrote and that
            nothing else can need.
    """

    doubt: str | None = None


def remove_orphans(
    dataset: Dataset,
    older_than: timedelta,
    *,
    dry_run: bool = True,
    also_delete: Collection[str] = (),
    among: Mapping[str, References] | None = None,
) -> list[Orphan]:
    """List, then delete, files below the dataset's tables that nothing refers to.

    A process that died leaves them behind: staged files of a load that was never committed,
    metadata of a commit that lost. So does the expiry of snapshots. A file is kept if any snapshot
    refers to it that a table still has, on any branch or tag, or that was current in the last day;
    or a committed load that is not published yet.

    Args:
        dataset: The dataset.
        older_than: Only files last written longer ago than this.
        dry_run: Only list them.
        also_delete: The paths of orphans to delete in spite of a doubt. A path that is not among
            the orphans is ignored.
        among: The files to look for, by the names of their tables; None for any.

    Returns:
        The orphans, by path. Those without a doubt are deleted.

    Raises:
        ValueError: Files would be deleted that a load still under way may be about to commit.
        DatasetRefused: This is a branch deployment, and the dataset is not its own.
        LogBehindTables: The log has lost loads that may be unpublished. Their files are needed
            until the log is rolled forward, or the loads are given up.
    """
    if not dry_run:
        require_own(dataset.name)
    if not dry_run and older_than < timedelta(seconds=DELETE_AFTER_SECONDS):
        msg = (
            f"older_than is {older_than}, but must be at least {DELETE_AFTER_SECONDS / 3600:.0f} "
            "hours: a load may be about to commit younger files."
        )
        raise ValueError(msg)
    # In this order: a load that is committed later has younger files, one that is published later
    # is kept as unpublished, and a table that moves meanwhile is seen at one of its two places.
    written_before = datetime.now(UTC) - older_than
    view = dataset.log.read()
    if view is None:
        return []
    if not dry_run:
        require_whole_log(dataset, view)
    names = set(dataset.catalog.list_tables(dataset.namespace))
    others = find_other_tables(dataset.catalog, dataset.namespace)
    tables = _load_tables(dataset, names, others)
    references = References()
    for table in tables.values():
        references.add_table(table, view.uuid)
    for load in view.pending():
        for intent in load.intent.tables:
            references.add(staged.path for staged in intent.files)
    sweep = _Sweep(dataset, view.uuid, tables, others)
    stored = list(sweep.stored_files(among))
    # Younger files are kept anyway.
    grace = min(older_than, timedelta(seconds=DELETE_AFTER_SECONDS))
    current_since = datetime.now(UTC) - grace
    references.add_manifest_lists(recent_manifest_lists(stored, current_since))
    orphans = {
        file.path: (sweep.as_orphan(file, table), table.io)
        for file, table in stored
        if file.modified < written_before
        and file.path not in references
        and (among is None or any(file.path in wanted for wanted in among.values()))
    }
    if not dry_run:
        for orphan, io in orphans.values():
            if orphan.doubt is None or orphan.path in also_delete:
                delete_orphan(io, orphan.path)
    return [orphans[path][0] for path in sorted(orphans)]


def _load_tables(
    dataset: Dataset, before: set[tuple[str, ...]], others: OtherTables
) -> dict[str, Table]:
    """Return the dataset's tables; the references of one that cannot be read are unknown."""
    identifiers = dataset.catalog.list_tables(dataset.namespace)

    def load(identifier: tuple[str, ...]) -> Table | None:
        try:
            return dataset.load_table(identifier[-1])
        except Exception as error:
            # A boundary: catalogs and stores raise any exception of their drivers.
            others.unknown.append(f"table `{'.'.join(identifier)}` ({type(error).__name__})")
            return None

    for identifier in before.difference(identifiers):
        others.unknown.append(f"table `{'.'.join(identifier)}` (it has just been moved or dropped)")
    with ThreadPoolExecutor(TABLES_AT_ONCE) as threads:
        loaded = zip(identifiers, threads.map(load, identifiers), strict=True)
        return {identifier[-1]: table for identifier, table in loaded if table is not None}


def delete_orphan(io: FileIO, path: str) -> None:
    """Delete a file, which another sweep may just have deleted."""
    try:
        io.delete(path)
    except FileNotFoundError:
        logger.debug("%s was already deleted", path)


@dataclass
class _Sweep:
    dataset: Dataset
    log_uuid: str
    tables: dict[str, Table]
    others: OtherTables

    def stored_files(
        self, of_tables: Collection[str] | None = None
    ) -> Iterator[tuple[StoredFile, Table]]:
        """Yield the files of the tables' folders, and those staged for future tables.

        Each comes with a table whose FileIO may delete it: the credentials that a catalog vends are
        for one table.

        Args:
            of_tables: The names of the tables; None for all, and those staged.
        """
        for name, table in self.tables.items():
            for folder in _own_folders(table) if of_tables is None or name in of_tables else ():
                yield from ((file, table) for file in list_files(table.io, folder))
        if of_tables is None:
            yield from self._staged_beside()

    def _staged_beside(self) -> Iterator[tuple[StoredFile, Table]]:
        """Yield the data files of loads that died before they created their table.

        They are beside the other tables, if those have a common parent folder. A folder with
        metadata belonged to a table, which may be restored.
        """
        log = self.tables.get(self.dataset.log.identifier[-1])
        if log is None:
            return
        parent = log.location().rstrip("/").rsplit("/", 1)[0] + "/"
        # Where catalogs have no folder per namespace, tables of others are there, too.
        is_ours = parent.rsplit("/", 2)[1].startswith(self.dataset.namespace[-1])
        locations = {table.location() for table in self.tables.values()}
        if not is_ours or not all(location.startswith(parent) for location in locations):
            return
        staged: list[tuple[str, StoredFile]] = []
        were_tables: set[str] = set()
        try:
            for file in list_files(log.io, parent):
                folder, _, below = file.path.removeprefix(parent).partition("/")
                if f"{parent}{folder}" in locations:
                    continue
                if below.startswith("data/") and is_data_file(file.path):
                    staged.append((folder, file))
                elif below.startswith("metadata/"):
                    were_tables.add(folder)
        except OSError as error:
            logger.warning("Cannot search for orphans next to the tables in %s: %s", parent, error)
            return
        yield from ((file, log) for folder, file in staged if folder not in were_tables)

    def as_orphan(self, file: StoredFile, table: Table) -> Orphan:
        """Return a file as an orphan, with the doubt about it."""
        doubt = self.others.doubt_about(folder_key(file.path))
        name = file.path.rpartition("/")[2]
        if doubt is None and not is_named_by(self.log_uuid, name):
            if not _METADATA_FILE.fullmatch(name):
                doubt = "its name does not have the id of this dataset"
            elif not self._is_own_metadata(table, file.path):
                doubt = "its contents are not metadata of this table"
        return Orphan(file.path, file.bytes, file.modified, doubt)

    def _is_own_metadata(self, table: Table, path: str) -> bool:
        """Return whether a metadata file is an earlier version of a table, or of a lost commit.

        Catalogs name these files, so this is decided by their content.
        """
        try:
            with table.io.new_input(path).open() as stream:
                content = json.loads(stream.read())
            owner = content["table-uuid"], content["properties"].get(LOG_UUID)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return False
        uuid = str(table.metadata.table_uuid)
        return owner == (uuid, self.log_uuid) or owner[0] == uuid == self.log_uuid


def _own_folders(table: Table) -> list[str]:
    """Return the folders of a table, none of which is within another one."""
    folders = []
    for location in own_locations(table):
        place = location.rstrip("/")
        if location == table.location():
            folders += [f"{place}/data/", f"{place}/metadata/"]
        else:
            folders.append(f"{place}/")
    keys = {folder_key(folder): folder for folder in folders}
    return [
        folder
        for key, folder in keys.items()
        if not any(above in keys for above in list(parent_folders(key))[1:])
    ]
