"""Merge modes: whether rows leave a data file by rewriting it, or by a position-delete file.

Iceberg's table property `write.merge.mode` decides. Without it, each data file goes the way that
costs less, now and in later reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata

MergeMode = Literal["auto", "copy-on-write", "merge-on-read"]

MERGE_MODES: tuple[MergeMode, ...] = get_args(MergeMode)

# Iceberg's name. No table has the value `auto`, which Iceberg Java does not accept: it is the mode
# of a table without the property.
MERGE_MODE_PROPERTY = "write.merge.mode"

# A file of this size is rewritten about as fast as a delete file is written and read again.
SMALL_FILE_BYTES = 32 * 1024 * 1024

# From this share of deleted rows on, readers lose more time than a rewrite takes. It bounds what a
# table that is never compacted costs its readers.
MOST_DELETED = 0.3

_FIRST_VERSION_WITH_DELETES = 2


def require_merge_mode(table: str, mode: str) -> None:
    """Check a configured merge mode.

    Raises:
        InvalidHint: It is not one of `MERGE_MODES`.
    """
    if mode not in MERGE_MODES:
        msg = (
            f"{mode!r} is not a valid merge mode of table `{table}`; use one of "
            f"{', '.join(MERGE_MODES)}."
        )
        raise InvalidHint(msg)


def set_merge_mode(transaction: Transaction, mode: str | None) -> None:
    """Give a table the merge mode that a load requests; None keeps the table's own."""
    if mode is None:
        return
    if mode != "auto":
        transaction.set_properties({MERGE_MODE_PROPERTY: mode})
    elif MERGE_MODE_PROPERTY in transaction.table_metadata.properties:
        transaction.remove_properties(MERGE_MODE_PROPERTY)


def is_rewritten(metadata: TableMetadata, file: DataFile, deleted: int) -> bool:
    """Return whether a data file is rewritten, and not given a delete file.

    Args:
        metadata: The table.
        file: The data file.
        deleted: How many of its rows would be deleted, those of earlier snapshots included.
    """
    mode = metadata.properties.get(MERGE_MODE_PROPERTY, "auto").lower()
    return (
        mode == "copy-on-write"
        or metadata.format_version < _FIRST_VERSION_WITH_DELETES
        # Its rows are split by an earlier spec; a rewrite splits them by the current one.
        or file.spec_id != metadata.default_spec_id
        or deleted >= MOST_DELETED * file.record_count
        or (mode != "merge-on-read" and file.file_size_in_bytes < SMALL_FILE_BYTES)
    )
