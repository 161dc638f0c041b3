"""The orphan sweep, which deletes files that nothing refers to."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.branch.clone_tables import own_locations
from floe_ingestion_defs.destinations.impl.iceberg.catalog.confinement import require_own
from floe_ingestion_defs.destinations.impl.iceberg.deadline import DELETE_AFTER_SECONDS
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import (
    StoredFile,
    list_files,
    same_file_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

logger = logging.getLogger(__name__)

# What a load stages is named by its uid, which is how files of a table that was never created are
# told from files that are none of ours. A namespace below this one may have its tables below ours,
# one level deeper; the folders of zeros and ones are those of Iceberg's layout for object stores.
_STAGED_BELOW = re.compile(r"[^/]+/data/([01]+/)*floe-[^/]+\.parquet")


def remove_orphans(
    dataset: Dataset, older_than: timedelta, *, dry_run: bool = True
) -> list[StoredFile]:
    """Lists, then deletes, files below the dataset's tables that nothing refers to.

    They are what a process that died leaves behind: staged files of a load that was never
    committed, metadata of a commit that lost. A file is spared if any snapshot that a table still
    has refers to it, on whatever branch or tag, or a committed load that is not published yet.

    Args:
        dataset: The dataset.
        older_than: Only files last written longer ago than this.
        dry_run: Only list them.

    Returns:
        The orphans, by path.

    Raises:
        ValueError: Files would be deleted that a load still under way may be about to commit.
        DatasetRefused: This is a branch deployment, and the dataset is not its own.
    """
    if not dry_run:
        require_own(dataset.name)
    if not dry_run and older_than < timedelta(seconds=DELETE_AFTER_SECONDS):
        msg = (
            f"older_than is {older_than}; a load may be about to commit younger files than "
            f"{DELETE_AFTER_SECONDS / 3600:.0f} hours, so give at least that."
        )
        raise ValueError(msg)
    # In this order: a load that is committed later has younger files, and one that is published
    # later is spared as unpublished.
    written_before = datetime.now(UTC) - older_than
    view = dataset.log.read()
    if view is None:
        return []
    tables = _tables(dataset)
    stored = {
        same_file_key(file.path): (file, io)
        for file, io in _stored_files(dataset, tables)
        if file.modified < written_before
    }
    for table in _tables(dataset).values():
        for path in _referenced(table):
            stored.pop(same_file_key(path), None)
    for load in view.unsettled():
        for intent in load.intent.tables:
            for staged in intent.files:
                stored.pop(same_file_key(staged.path), None)
    orphans = sorted(stored.values(), key=lambda found: found[0].path)
    if not dry_run:
        for file, io in orphans:
            io.delete(file.path)
    return [file for file, _ in orphans]


def _tables(dataset: Dataset) -> dict[str, Table]:
    names = [identifier[-1] for identifier in dataset.catalog.list_tables(dataset.namespace)]
    loaded = ((name, dataset.load_table(name)) for name in names)
    return {name: table for name, table in loaded if table is not None}


def _stored_files(
    dataset: Dataset, tables: dict[str, Table]
) -> Iterator[tuple[StoredFile, FileIO]]:
    """The files in the folders of the tables, and what was staged for tables that are not there.

    Each comes with the FileIO that may delete it: the credentials that a catalog hands out are for
    one table.

    A load that died before it created its table left its files beside the others', if they have a
    folder in common.
    """
    for table in tables.values():
        for place in own_locations(table):
            if place != table.location():
                folders = [place.rstrip("/") + "/"]
            else:
                folders = [f"{place.rstrip('/')}/{name}/" for name in ("data", "metadata")]
            for folder in folders:
                yield from ((file, table.io) for file in list_files(table.io, folder))
    log = tables.get(dataset.log.identifier[-1])
    if log is None:
        return
    parent = log.location().rstrip("/").rsplit("/", 1)[0] + "/"
    # Where catalogs have no folder for a namespace, others' tables are there, too.
    is_ours = parent.rsplit("/", 2)[1].startswith(dataset.namespace[-1])
    if is_ours and all(table.location().startswith(parent) for table in tables.values()):
        try:
            beside = list(list_files(log.io, parent))
        except OSError as error:
            logger.warning("Orphans beside the tables are not looked for in %s: %s", parent, error)
            return
        for file in beside:
            if _STAGED_BELOW.fullmatch(file.path.removeprefix(parent)):
                yield file, log.io


def _referenced(table: Table) -> Iterator[str]:
    """Every file that the table's metadata leads to."""
    metadata = table.metadata
    yield table.metadata_location
    for entry in metadata.metadata_log:
        yield entry.metadata_file
    for statistics in (*metadata.statistics, *metadata.partition_statistics):
        yield statistics.statistics_path
    read: set[str] = set()
    for snapshot in metadata.snapshots:
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in read:
                continue
            read.add(manifest.manifest_path)
            yield manifest.manifest_path
            for live in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield live.data_file.file_path
