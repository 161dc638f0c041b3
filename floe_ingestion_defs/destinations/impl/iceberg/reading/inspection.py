"""Reading tables: what checks and reports need to know of a table, at the lowest cost.

Snapshot summaries and files' statistics are used first; only files whose statistics are not
sufficient, or that may contain a row in question, are read, a batch at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.destinations.impl.iceberg.changes.change import window_deletion
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import stored_bounds
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import matching_rows
from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file
from floe_ingestion_defs.destinations.impl.iceberg.intent import Window
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import last_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.snapshots import Snapshot


def live_files(table: Table) -> list[FileScanTask]:
    """Return the data files of a table's current snapshot, each with its delete files."""
    return list(table.scan().plan_files())


def files_added_last(table: Table) -> list[FileScanTask]:
    """Return the data files with the rows that the last load, or another writer, added.

    A merge and a compaction rewrite files, so rows that were there before are among them.
    """
    snapshot, change = table.current_snapshot(), last_change(table)
    if snapshot is None or change is None:
        return []
    # Maintenance may have moved the rows to other files since.
    since = {
        s.snapshot_id
        for s in table.metadata.snapshots
        if (s.sequence_number or 0) >= (change.sequence_number or 0)
    }
    added = {
        entry.data_file.file_path
        for manifest in snapshot.manifests(table.io)
        if manifest.added_snapshot_id in since
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        if entry.snapshot_id is None or entry.snapshot_id in since
    }
    return [task for task in live_files(table) if task.file.file_path in added]


def read_columns(
    table: Table, files: Iterable[FileScanTask], columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Stream columns of some data files in the table's current types, without deleted rows.

    Args:
        table: The table.
        files: Its data files, as `live_files` and `files_added_last` return them.
        columns: Names of the columns.

    Yields:
        A batch of rows at a time; memory does not grow with the files.
    """
    for task in files:
        yield from read_data_file(table.metadata, table.io, task, columns)


def column_bounds(table: Table, file: DataFile, column: str) -> tuple[Any, Any] | None:
    """Return the bounds that a data file's statistics give for a column.

    Returns:
        The lower and the upper bound, dates and times as Iceberg stores them: days and
        microseconds since 1970. They are exact for numbers and times; those of strings may be
        truncated, and enclose the values. None where the file has no statistics of the column.
    """
    return stored_bounds(file, table.metadata, column)


def count_window_rows(
    table: Table,
    column: str,
    lower: str | float,
    upper: str | float,
    snapshot_id: int | None = None,
) -> int:
    """Count the rows with `lower <= column < upper`, reading only files that may hold one.

    Args:
        table: The table.
        column: Name of the column.
        lower: First value of the window; a date or a timestamp in ISO format.
        upper: First value after the window.
        snapshot_id: The snapshot to read, which the table must have; by default the current one.

    Raises:
        InvalidHint: A bound is not a value of the column's type.
    """
    rows = read_window(table, column, lower, upper, [column], snapshot_id)
    return sum(int(batch.num_rows) for batch in rows)


def read_window(
    table: Table,
    column: str,
    lower: str | float,
    upper: str | float,
    columns: Sequence[str],
    snapshot_id: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Stream the rows with `lower <= column < upper`, reading only files that may hold one.

    Args:
        table: The table.
        column: Name of the column.
        lower: First value of the window; a date or a timestamp in ISO format.
        upper: First value after the window.
        columns: Names of the columns to read.
        snapshot_id: The snapshot to read, which the table must have; by default the current one.

    Raises:
        InvalidHint: A bound is not a value of the column's type.
    """
    metadata = table.metadata
    if snapshot_id is not None:
        metadata = metadata.model_copy(update={"current_snapshot_id": snapshot_id})
    state = TableState(metadata, table.io)
    rows = window_deletion(metadata, Window(column=column, start=lower, end=upper))
    return matching_rows(state, rows, columns)


def summary_count(snapshot: Snapshot | None, name: str) -> int | None:
    """Return a number of a snapshot's summary, such as `total-records` or `added-data-files`.

    Returns:
        None where there is no snapshot, or its writer did not give the number.
    """
    value = snapshot.summary.get(name) if snapshot is not None and snapshot.summary else None
    return None if value is None else int(value)


def row_count(snapshot: Snapshot | None) -> int | None:
    """Return the number of rows of a table at a snapshot, without those deleted by position.

    Rows that other engines deleted by equality are counted, as no summary has their number. Where
    another engine's delete file also names data files that were removed since, the number is too
    small until the next compaction.

    Returns:
        None where there is no snapshot, or its writer did not give the numbers.
    """
    records = summary_count(snapshot, "total-records")
    deleted = summary_count(snapshot, "total-position-deletes") or 0
    return None if records is None else records - deleted
