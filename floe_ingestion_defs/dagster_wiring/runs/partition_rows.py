"""Counts the rows of a table in the window of a partition."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from floe_ingestion_defs.window import Window


def count_partition_rows(table: "Table", column: str, window: "Window[Any]") -> int | None:
    """Count the rows of a window, reading only files that may contain one.

    Args:
        table: The table.
        column: The cursor, by its name in the configuration.
        window: The window; each bound a timestamp, a date, or a string of one.

    Returns:
        The number; None if the column is a string, which may not sort by time.
    """
    from dlt.common.normalizers.naming.snake_case import NamingConvention
    from pyiceberg.types import DateType, StringType

    from floe_ingestion_defs.destinations import count_window_rows

    name = NamingConvention().normalize_path(column)
    kind = table.schema().find_type(name)
    if isinstance(kind, StringType):
        return None
    day = isinstance(kind, DateType)
    lower, upper = (_as_bound(value, day=day) for value in (window.start, window.end))
    return count_window_rows(table, name, lower, upper)


def _as_bound(value: Any, *, day: bool) -> Any:
    bound = value.isoformat() if isinstance(value, date | datetime) else value
    return bound[:10] if day and isinstance(bound, str) else bound
