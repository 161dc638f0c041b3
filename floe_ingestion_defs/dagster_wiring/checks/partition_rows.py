"""The rows of a table in the window of a partition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from floe_ingestion_defs.window import Window


@dataclass(frozen=True)
class PartitionRows:
    """The rows of a table in a window; only files that may contain one are read.

    Attributes:
        table: The table.
        column: The cursor, by its name in the table.
        lower: Start of the window, inclusive.
        upper: End of the window, exclusive.
    """

    table: "Table"
    column: str
    lower: Any
    upper: Any

    @classmethod
    def of(cls, table: "Table", column: str, window: "Window[Any]") -> "PartitionRows | None":
        """Return the rows of a window; None if the cursor is a string, which may not sort by time.

        Args:
            table: The table.
            column: The cursor, by its name in the configuration.
            window: The window; each bound a timestamp, a date, or a string of one.
        """
        from dlt.common.normalizers.naming.snake_case import NamingConvention
        from pyiceberg.types import DateType, StringType

        name = NamingConvention().normalize_path(column)
        kind = table.schema().find_type(name)
        if isinstance(kind, StringType):
            return None
        day = isinstance(kind, DateType)
        lower, upper = (_as_bound(value, day=day) for value in (window.start, window.end))
        return cls(table, name, lower, upper)

    def count(self) -> int:
        """Return the number of rows."""
        from floe_ingestion_defs.destinations import count_window_rows

        return count_window_rows(self.table, self.column, self.lower, self.upper)

    def count_at(self, snapshot_id: int) -> int | None:
        """Return the number of rows in an earlier snapshot; None if the table no longer has it."""
        from floe_ingestion_defs.destinations import count_window_rows

        if self.table.metadata.snapshot_by_id(snapshot_id) is None:
            return None
        return count_window_rows(self.table, self.column, self.lower, self.upper, snapshot_id)

    def read(self, columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        """Yield columns of the rows."""
        from floe_ingestion_defs.destinations import read_window

        return read_window(self.table, self.column, self.lower, self.upper, columns)


def _as_bound(value: Any, *, day: bool) -> Any:
    bound = value.isoformat() if isinstance(value, date | datetime) else value
    return bound[:10] if day and isinstance(bound, str) else bound
