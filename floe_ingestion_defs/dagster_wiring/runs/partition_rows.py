"""How many rows of a table lie in the window of a partition."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyiceberg.table import Table


def count_partition_rows(table: "Table", column: str, start: Any, end: Any) -> int | None:
    """Count the rows with `start <= column < end`, reading only files that may hold one.

    Args:
        table: The table.
        column: The cursor, by the name that the configuration gives it.
        start: First value of the window: a moment, a day, or a text that is one.
        end: First value after it.

    Returns:
        The number; None where the column is a text, whose order need not be that of time.
    """
    import pyarrow as pa
    from dlt.common.normalizers.naming.snake_case import NamingConvention

    from floe_ingestion_defs.destinations.impl.iceberg.changes.change import window_deletion
    from floe_ingestion_defs.destinations.impl.iceberg.changes.merge import (
        TableState,
        matching_rows,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import arrow_schema
    from floe_ingestion_defs.destinations.impl.iceberg.intent import Window

    name = NamingConvention().normalize_path(column)
    kind = arrow_schema(table.metadata).field(name).type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return None
    lower, upper = (_as_bound(value, day=pa.types.is_date(kind)) for value in (start, end))
    state = TableState(table.metadata, table.io)
    rows = window_deletion(state, Window(column=name, lower=lower, upper=upper))
    return sum(int(batch.num_rows) for batch in matching_rows(state, rows, [name]))


def _as_bound(value: Any, *, day: bool) -> Any:
    text = value.isoformat() if isinstance(value, date | datetime) else value
    return text[:10] if day and isinstance(text, str) else text
