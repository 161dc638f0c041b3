"""Counts of the rows, values and files that are rejected while a source is extracted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class RejectedRow(NamedTuple):
    """A row that is not loaded.

    Attributes:
        reason: Why it was rejected.
        row: The row as read from the source.
        nested_table: Its table, if it is an item of a list in a row of another table.
    """

    reason: str
    row: Any
    nested_table: str | None = None


@dataclass
class Rejections:
    """What one load did not load of a resource, and why.

    Attributes:
        rows: Number of rejected rows.
        rows_by_reason: The same by reason; a row counts once, for the first reason found.
        values_by_column: Number of values that were removed from loaded rows, by column.
        superseded: Number of quarantined rows that a replay removed, because a later load has
            loaded a newer version of them.
        files: Files that could not be read and were quarantined, with the reason; every load
            retries them.
        current_file: The file whose rows are being extracted, which errors name; None if rows of
            several files are extracted together, or the source has no files.
    """

    rows: int = 0
    rows_by_reason: Counter[str] = field(default_factory=Counter)
    values_by_column: Counter[str] = field(default_factory=Counter)
    superseded: int = 0
    files: dict[str, str] = field(default_factory=dict)
    current_file: str | None = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return bool(self.rows or self.values_by_column or self.files)

    def reject_rows(self, reason: str, rows: int = 1) -> None:
        """Count rejected rows."""
        self.rows += rows
        self.rows_by_reason[reason] += rows

    def reject_values(self, column: str, values: int = 1) -> None:
        """Count values that were removed."""
        self.values_by_column[column] += values
