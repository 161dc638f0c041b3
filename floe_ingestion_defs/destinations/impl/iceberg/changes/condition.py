"""SQL conditions on rows, which dlt's merge options hold; DuckDB evaluates them over Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import Mask

RELATION = "merge_rows"
"""The name of the rows in a condition."""


class ConditionError(ValueError):
    """A condition cannot be evaluated; its message contains no values of rows."""


@dataclass(frozen=True)
class RowCondition:
    """The rows for which a condition is true; a deletion uses it in place of a set of keys.

    Attributes:
        condition: The condition.
        names: The columns that it refers to.
    """

    condition: str
    names: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """The columns that decide."""
        return list(self.names)

    def may_be_in(self, file: DataFile, metadata: TableMetadata) -> bool:
        """Return whether a data file may contain such rows: statistics are not consulted."""
        return True

    def contains(self, batch: pa.RecordBatch) -> Mask:
        """Return the mask of the batch's rows for which the condition is true.

        Raises:
            ConditionError: It cannot be evaluated.
        """
        return evaluate(self.condition, pa.Table.from_batches([batch])).combine_chunks()


def evaluate(condition: str, rows: pa.Table) -> pa.ChunkedArray:
    """Return the mask of the rows for which an SQL condition is true.

    Raises:
        ConditionError: It cannot be evaluated, or DuckDB is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError as missing:
        msg = (
            "conditions are evaluated with DuckDB, which is not installed. Install the extra "
            "`floe-ingestion-defs[duckdb]`"
        )
        raise ConditionError(msg) from missing
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        # Rows keep their order only if it is required.
        connection.execute("SET preserve_insertion_order = true")
        connection.register(RELATION, rows)
        try:
            selected = connection.sql(
                f"SELECT coalesce(CAST(({condition}) AS BOOLEAN), false) AS selected "  # noqa: S608
                f"FROM {RELATION}"
            ).to_arrow_table()
        except duckdb.Error as invalid:
            # DuckDB's own message can contain a value.
            msg = f"it cannot be evaluated ({type(invalid).__name__}): {condition}"
            raise ConditionError(msg) from None
    return selected["selected"]


def columns_of(condition: str, present: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that a condition on single rows refers to.

    Args:
        condition: The condition.
        present: The table's columns.

    Raises:
        ConditionError: It is not valid, refers to a column that does not exist, or depends on other
            rows or on when it is evaluated. Publication can be repeated, and evaluates it per file.
    """
    import sqlglot
    from sqlglot import expressions
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse_one(condition, read="duckdb")
    except SqlglotError:
        msg = f"it is not valid SQL: {condition}"
        raise ConditionError(msg) from None
    if parsed.find(expressions.Query, expressions.AggFunc, expressions.Window):
        msg = f"a subquery, an aggregate or a window function is not supported: {condition}"
        raise ConditionError(msg)
    functions = {
        name.lower()
        for function in parsed.find_all(expressions.Func)
        for name in (
            [function.name] if isinstance(function, expressions.Anonymous) else function.sql_names()
        )
    }
    if unstable := sorted(functions & _unstable_functions()):
        msg = f"`{unstable[0]}` differs from call to call. Compute the value in the source"
        raise ConditionError(msg)
    by_folded_name = {name.casefold(): name for name in present}
    referred = sorted({column.name for column in parsed.find_all(expressions.Column)})
    for name in referred:
        if name.casefold() not in by_folded_name:
            msg = f"the table has no column `{name}`"
            raise ConditionError(msg)
    columns = tuple(dict.fromkeys(by_folded_name[name.casefold()] for name in referred))
    return columns or present[:1]  # Rows are counted by a column.


def _unstable_functions() -> set[str]:
    import duckdb

    query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    with duckdb.connect() as connection:
        names = {name for (name,) in connection.execute(query).fetchall()}
    return names | {"current_timestamp", "current_time", "localtime", "localtimestamp"}
