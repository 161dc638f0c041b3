"""What was kept out of a table, counted while a source is extracted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Rejections:
    """What of one resource was not loaded in one load, and why.

    Args:
        rows: Rows that were left out.
        rows_by_reason: The same by reason; a row counts once, for the first reason found.
        values_by_column: Values that were left out of rows that were loaded, by column.
        files: Files that could not be read and were set aside, each with the reason; they are
            tried again by every load.
    """

    rows: int = 0
    rows_by_reason: Counter[str] = field(default_factory=Counter)
    values_by_column: Counter[str] = field(default_factory=Counter)
    files: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rows or self.values_by_column or self.files)

    def refuse_rows(self, reason: str, rows: int = 1) -> None:
        """Count rows that were left out."""
        self.rows += rows
        self.rows_by_reason[reason] += rows

    def refuse_values(self, column: str, values: int = 1) -> None:
        """Count values that were left out."""
        self.values_by_column[column] += values
