"""What a table's files say of themselves, so that most questions need no row to be read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.types import NestedField


def live_files(table: "Table") -> "list[FileScanTask]":
    """List the data files of a table's current snapshot, with what was deleted from them."""
    return list(table.scan().plan_files())


def files_added_last(table: "Table") -> "list[FileScanTask]":
    """List the data files that the current snapshot brought, which is what the last load wrote.

    A merge rewrites files, so rows that it left as they were are among them.
    """
    snapshot = table.current_snapshot()
    if snapshot is None:
        return []
    from pyiceberg.manifest import ManifestEntryStatus

    added = {
        entry.data_file.file_path
        for manifest in snapshot.manifests(table.io)
        if manifest.added_snapshot_id == snapshot.snapshot_id
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        if entry.status == ManifestEntryStatus.ADDED
        and entry.snapshot_id in (None, snapshot.snapshot_id)
    }
    return [task for task in live_files(table) if task.file.file_path in added]


def bounds(file: "DataFile", field: "NestedField") -> tuple[Any, Any] | None:
    """Return the least and the greatest value of a column in a file; None where it does not say.

    Bounds of texts may be cut, downwards the one and upwards the other, so they enclose the
    values; those of numbers and times are exact.
    """
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import PrimitiveType

    lower = (file.lower_bounds or {}).get(field.field_id)
    upper = (file.upper_bounds or {}).get(field.field_id)
    if lower is None or upper is None or not isinstance(field.field_type, PrimitiveType):
        return None
    return from_bytes(field.field_type, lower), from_bytes(field.field_type, upper)


def read_columns(
    table: "Table", tasks: "list[FileScanTask]", columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Stream columns of some files, a batch at a time."""
    from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file

    for task in tasks:
        yield from read_data_file(table.metadata, table.io, task, columns)
