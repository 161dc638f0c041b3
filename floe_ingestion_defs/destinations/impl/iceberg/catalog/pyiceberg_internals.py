"""The private parts of pyiceberg that the destination needs, in one place."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.manifest import (
    DataFileContent,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
)
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _OverwriteFiles
from pyiceberg.typedef import EMPTY_DICT

from floe_ingestion_defs.destinations.impl.iceberg.catalog.manifest_merge import TieredMerge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile, ManifestFile, ManifestWriter
    from pyiceberg.table import FileScanTask, Table, Transaction
    from pyiceberg.table.snapshots import Summary
    from pyiceberg.typedef import Record


def table_of(transaction: Transaction) -> Table:
    """Return the table that a transaction changes or creates.

    pyiceberg 0.12 has no public name for it, and a table that is being created is not in the
    catalog yet. When a release has one, use it and delete this function.
    """
    return transaction._table  # noqa: SLF001


def file_io(transaction: Transaction) -> FileIO:
    """Return the FileIO that a transaction's table is written with."""
    return table_of(transaction).io


def read_delete_files(io: FileIO, task: FileScanTask) -> list[pa.ChunkedArray]:
    """Return the positions that each of a data file's delete files deletes in it."""
    from pyiceberg.io.pyarrow import _read_all_delete_files

    if not task.delete_files:
        return []
    return _read_all_delete_files(io, [task]).get(task.file.file_path, [])


def _values(partition: Record) -> Iterator[Any]:
    return (partition[place] for place in range(len(partition)))


class _DeleteManifestWriter(ManifestWriterV2):
    """Writes a manifest of delete files.

    pyiceberg 0.12 writes manifests of data files only (iceberg-python issues 3474 and 3618).
    """

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class Overwrite(_OverwriteFiles):
    """A snapshot that removes and adds data files and delete files.

    pyiceberg's own keeps all delete files and adds none (iceberg-python issues 3474 and 3618).
    Delete files are added and removed as data files are; a file's content shows which it is.

    Args:
        transaction: The transaction to add the snapshot to.
        io: The table's FileIO.
        summary: Entries of the snapshot's summary.
    """

    def __init__(self, transaction: Transaction, io: FileIO, summary: Mapping[str, str]) -> None:
        metadata = transaction.table_metadata
        is_first = metadata.snapshot_by_name("main") is None
        operation = Operation.APPEND if is_first else Operation.OVERWRITE
        super().__init__(operation, transaction, io, snapshot_properties=dict(summary))
        self._added_deletes: list[DataFile] = []
        self._removed_deletes: set[DataFile] = set()

    def append_data_file(self, data_file: DataFile) -> Overwrite:
        """Add a data file or a delete file."""
        if data_file.content == DataFileContent.DATA:
            super().append_data_file(data_file)
        else:
            self._added_deletes.append(data_file)
        return self

    def delete_data_file(self, data_file: DataFile) -> Overwrite:
        """Remove a data file or a delete file."""
        if data_file.content == DataFileContent.DATA:
            super().delete_data_file(data_file)
        else:
            self._removed_deletes.add(data_file)
        return self

    def _build_delete_files_partition_predicate(self) -> None:
        """Select the manifests that may list a removed file.

        pyiceberg 0.12 compares partitions by literals. It has none for NaN, and an infinite one of
        a `float` column equals nothing.
        """
        values = (value for file in self._deleted_data_files for value in _values(file.partition))
        if all(math.isfinite(value) for value in values if isinstance(value, float)):
            super()._build_delete_files_partition_predicate()
            return
        for spec_id in {file.spec_id for file in self._deleted_data_files}:
            self.partition_filters[spec_id] = AlwaysTrue()

    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        live = [manifest for manifest in manifests if self._is_needed(manifest)]
        of_data = [m for m in live if m.content == ManifestContent.DATA]
        of_deletes = [m for m in live if m.content == ManifestContent.DELETES]
        return [
            *self._merged(of_data, self._data_manifest_writer),
            *self._merged(self._with_deletes(of_deletes), self._delete_manifest_writer),
        ]

    def _is_needed(self, manifest: ManifestFile) -> bool:
        """Return whether a manifest has live files, or lists those that this snapshot removes.

        pyiceberg's overwrite keeps a manifest of removed files in all later snapshots, where no
        reader uses it, and each merge adds one.
        """
        is_new = manifest.added_snapshot_id == self._snapshot_id
        return is_new or manifest.has_added_files() or manifest.has_existing_files()

    def _merged(
        self, manifests: list[ManifestFile], new_writer: Callable[[int], ManifestWriter]
    ) -> list[ManifestFile]:
        """Combine manifests, as appends do; pyiceberg's overwrite adds one and combines none."""
        properties = self._transaction.table_metadata.properties
        return TieredMerge(self, properties, new_writer).merge(manifests)

    def _data_manifest_writer(self, spec_id: int) -> ManifestWriter:
        return self.new_manifest_writer(self.spec(spec_id))

    def _with_deletes(self, manifests: Iterable[ManifestFile]) -> list[ManifestFile]:
        """Return the manifests of the delete files after this snapshot.

        Those with a removed file are combined with the added files to one for each partition spec,
        so that a table whose merges delete in the same data files keeps one manifest of them.
        """
        kept: list[ManifestFile] = []
        entries: dict[int, list[ManifestEntry]] = defaultdict(list)
        for manifest in manifests:
            found = self.fetch_manifest_entry(manifest) if self._removed_deletes else []
            if self._removed_deletes.isdisjoint(entry.data_file for entry in found):
                kept.append(manifest)
            else:
                entries[manifest.partition_spec_id] += map(self._continued, found)
        for file in self._added_deletes:
            added = ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED, snapshot_id=self._snapshot_id, data_file=file
            )
            entries[file.spec_id].append(added)
        return [*(self._write(spec_id, entries[spec_id]) for spec_id in entries), *kept]

    def _continued(self, entry: ManifestEntry) -> ManifestEntry:
        is_removed = entry.data_file in self._removed_deletes
        return ManifestEntry.from_args(
            status=ManifestEntryStatus.DELETED if is_removed else ManifestEntryStatus.EXISTING,
            snapshot_id=self._snapshot_id if is_removed else entry.snapshot_id,
            sequence_number=entry.sequence_number,
            file_sequence_number=entry.file_sequence_number,
            data_file=entry.data_file,
        )

    def _delete_manifest_writer(self, spec_id: int) -> ManifestWriterV2:
        """Return a writer of a manifest of delete files."""
        return _DeleteManifestWriter(
            spec=self._transaction.table_metadata.specs()[spec_id],
            schema=self._transaction.table_metadata.schema(),
            output_file=self.new_manifest_output(),
            snapshot_id=self._snapshot_id,
            avro_compression=self._compression,
        )

    def _write(self, spec_id: int, entries: Iterable[ManifestEntry]) -> ManifestFile:
        with self._delete_manifest_writer(spec_id) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return writer.to_manifest_file()

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        added, removed = self._added_data_files, self._deleted_data_files
        self._added_data_files = [*added, *self._added_deletes]
        self._deleted_data_files = removed | self._removed_deletes
        try:
            return super()._summary(snapshot_properties)
        finally:
            self._added_data_files, self._deleted_data_files = added, removed
