"""The private parts of pyiceberg that the destination needs, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _OverwriteFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import FileScanTask, Table, Transaction


def table_of(transaction: Transaction) -> Table:
    """Return the table that a transaction changes or creates.

    pyiceberg 0.12 has no public name for it, and a table that is being created is not in the
    catalog yet. When a release has one, use it and delete this function.
    """
    return transaction._table  # noqa: SLF001


def file_io(transaction: Transaction) -> FileIO:
    """Return the FileIO that a transaction's table is written with."""
    return table_of(transaction).io


def deleted_positions(io: FileIO, task: FileScanTask) -> pa.ChunkedArray | None:
    """Return the positions of the rows of a data file that delete files delete, None for none."""
    from pyiceberg.io.pyarrow import _read_all_delete_files

    if not task.delete_files:
        return None
    found = _read_all_delete_files(io, [task]).get(task.file.file_path, [])
    chunks = [chunk.cast(pa.int64()) for array in found for chunk in array.chunks]
    return pa.chunked_array(chunks, pa.int64())


class Overwrite(_OverwriteFiles):
    """A snapshot that removes data files and adds others.

    pyiceberg's own keeps all delete files, although a table that is replaced whole has nothing to
    delete, and pyiceberg cannot read a table with equality deletes.

    Args:
        transaction: The transaction to add the snapshot to.
        io: The table's FileIO.
        summary: Entries of the snapshot's summary.
        replaces_all: Whether every data file of the table is removed.
    """

    def __init__(
        self,
        transaction: Transaction,
        io: FileIO,
        summary: Mapping[str, str],
        *,
        replaces_all: bool,
    ) -> None:
        metadata = transaction.table_metadata
        is_first = metadata.snapshot_by_name("main") is None
        operation = Operation.APPEND if is_first else Operation.OVERWRITE
        super().__init__(operation, transaction, io, snapshot_properties=dict(summary))
        self._replaces_all = replaces_all

    def _existing_manifests(self) -> list[ManifestFile]:
        return [] if self._replaces_all else super()._existing_manifests()
