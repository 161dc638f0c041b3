"""The names of all files that tables refer to, in any snapshot that they still have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from pyiceberg.manifest import read_manifest_list

from floe_ingestion_defs.destinations.impl.iceberg.files.names import is_named_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

# Most of the time is spent waiting for the object store.
FILES_AT_ONCE = 16
# What reading a file that is missing or truncated raises.
UNREADABLE = (OSError, ValueError, EOFError)


class References:
    """File names, of which only 64 bits each are kept.

    A file is identified by its name and not by its path, which has several spellings: `s3` and
    `s3a`, a host with and without a port, doubled slashes, links. Two names with the same 64 bits
    count as one, which keeps a file and never deletes one.
    """

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def add(self, paths: Iterable[str]) -> None:
        """Add the files at these paths."""
        self._hashes.update(map(_hash, paths))

    def add_table(self, table: Table, log_uuid: str) -> None:
        """Add every file that a table's metadata refers to.

        Args:
            table: The table.
            log_uuid: The dataset's log, whose own manifests are not read where others have reported
                all of their files.
        """
        metadata = table.metadata
        self.add([table.metadata_location, *(e.metadata_file for e in metadata.metadata_log)])
        statistics = (*metadata.statistics, *metadata.partition_statistics)
        self.add(each.statistics_path for each in statistics)
        self.add(snapshot.manifest_list for snapshot in metadata.snapshots)
        manifests: dict[str, ManifestFile] = {}
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            for found in threads.map(lambda s: s.manifests(table.io), metadata.snapshots):
                manifests.update((manifest.manifest_path, manifest) for manifest in found)
            self.add(manifests)
            wanted = (m for m in manifests.values() if not _is_reported(m, table, log_uuid))
            for hashes in threads.map(partial(_live_files, table), wanted):
                self._hashes.update(hashes)

    def add_manifest_lists(self, lists: Iterable[tuple[Table, str]]) -> None:
        """Add the files of snapshots that no metadata lists any more, as far as they can be read.

        Args:
            lists: The paths of manifest lists, each with its table.
        """
        unknown = [(table, path) for table, path in lists if path not in self]
        manifests: dict[str, tuple[Table, ManifestFile]] = {}
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            for (table, path), found in zip(unknown, threads.map(_manifests, unknown), strict=True):
                self.add([path])
                new = (m for m in found if m.manifest_path not in self)
                manifests.update((m.manifest_path, (table, m)) for m in new)
            self.add(manifests)
            for hashes in threads.map(_files_if_readable, manifests.values()):
                self._hashes.update(hashes)

    def __contains__(self, path: str) -> bool:
        return _hash(path) in self._hashes


def measure_files_of(table: Table, snapshots: Collection[Snapshot]) -> tuple[int, int]:
    """Return the number and the bytes of the files that only some snapshots of a table refer to.

    Counted are data files, delete files and manifests; nothing but manifests is read.
    """
    ids = {snapshot.snapshot_id for snapshot in snapshots}
    needed = References()
    others = (s for s in table.metadata.snapshots if s.snapshot_id not in ids)
    needed.add_manifest_lists((table, snapshot.manifest_list) for snapshot in others)
    sizes: dict[int, int] = {}
    for snapshot in snapshots:
        for manifest in _manifests((table, snapshot.manifest_list)):
            path = _hash(manifest.manifest_path)
            if manifest.manifest_path in needed or path in sizes:
                continue
            sizes[path] = manifest.manifest_length
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                if entry.data_file.file_path not in needed:
                    path = _hash(entry.data_file.file_path)
                    sizes[path] = entry.data_file.file_size_in_bytes
    return len(sizes), sum(sizes.values())


def _hash(path: str) -> int:
    return hash(path.rpartition("/")[2])


def _is_reported(manifest: ManifestFile, table: Table, log_uuid: str) -> bool:
    """Return whether every live file of a manifest is in a manifest of an earlier snapshot, too.

    A merge rewrites the manifest of the files that stay. Those were all live in the parent of the
    snapshot, so where the table still has that one, its manifests name them. Only the counts of a
    manifest that this destination wrote are trusted.
    """
    if not is_named_by(log_uuid, manifest.manifest_path.rpartition("/")[2]):
        return False
    if manifest.added_files_count != 0:
        return False
    if manifest.existing_files_count == 0:
        return True
    by = table.metadata.snapshot_by_id(manifest.added_snapshot_id or -1)
    parent = by.parent_snapshot_id if by else None
    return parent is not None and table.metadata.snapshot_by_id(parent) is not None


def _manifests(listed: tuple[Table, str]) -> list[ManifestFile]:
    """Return what a manifest list has; one that a killed process left unfinished has none."""
    table, path = listed
    try:
        return list(read_manifest_list(table.io.new_input(path)))
    except UNREADABLE:
        return []


def _files_if_readable(found: tuple[Table, ManifestFile]) -> list[int]:
    """Return the files of a manifest, none if it was deleted or never finished."""
    try:
        return _live_files(*found)
    except UNREADABLE:
        return []


def _live_files(table: Table, manifest: ManifestFile) -> list[int]:
    return list(_hashes_of_live_files(table, manifest))


def _hashes_of_live_files(table: Table, manifest: ManifestFile) -> Iterator[int]:
    for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
        yield _hash(entry.data_file.file_path)
