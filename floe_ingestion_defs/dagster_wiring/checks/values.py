"""The checks of values: conditions in SQL, and a user's functions, over Arrow streams of rows.

DuckDB reads a stream of batches and counts, so memory does not grow with the rows. Only counts are
reported: values of rows are in no result and in no error.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from floe_ingestion_defs.dagster_wiring.checks.check_result import (
    CheckResult,
    find_columns,
    table_of,
)
from floe_ingestion_defs.dagster_wiring.checks.partition_rows import PartitionRows
from floe_ingestion_defs.dagster_wiring.settings.row_checks import (
    AcceptedRangeCheck,
    AcceptedValuesCheck,
    ConditionsCheck,
    ExpressionCheck,
    FunctionCheck,
    RowsCheck,
)
from floe_ingestion_defs.destinations import files_added_last, live_files, read_columns
from floe_ingestion_defs.dlt_plugin import ResourceSpec
from floe_ingestion_defs.dlt_plugin.config.names import find_name

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations import Outcome

_ROWS = "checked_rows"


@dataclass(frozen=True)
class _Rows:
    """The rows to verify, of a published table or of one as a load would leave it."""

    source: "Table | Outcome | PartitionRows"
    schema: "Schema"
    scope: str

    def reader(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """Return a stream of columns of the rows."""
        batches = iter(self._batches(columns))
        first = next(batches, None)
        if first is None:
            empty = self.schema.select(*columns).as_arrow()
            return pa.RecordBatchReader.from_batches(empty, [])
        # The rows of a table and those of a load may differ in what is nullable.
        schema = pa.schema([field.with_nullable(True) for field in first.schema])
        alike = (
            pa.RecordBatch.from_arrays(batch.columns, schema=schema)
            for batch in chain([first], batches)
        )
        return pa.RecordBatchReader.from_batches(schema, alike)

    def _batches(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        from floe_ingestion_defs.destinations import Outcome

        if isinstance(self.source, PartitionRows):
            return self.source.read(columns)
        if isinstance(self.source, Outcome):
            before = self.source.remaining_rows(columns) if self.scope == "table" else ()
            return chain(before, self.source.added_rows(columns))
        find_files = live_files if self.scope == "table" else files_added_last
        return read_columns(self.source, find_files(self.source), columns)


def check_values(table: "Table | None", check: RowsCheck, resource: ResourceSpec) -> CheckResult:
    """Verify the values in the rows of a table, or in those that its last load added.

    Args:
        table: The table; None if it does not exist yet.
        check: The check.
        resource: The resource that is loaded into it.
    """
    if table is None:
        return CheckResult(True, "The table does not exist yet.")
    return _evaluate(_Rows(table, table.schema(), check.scope), check, resource)


def check_values_in(rows: PartitionRows, check: RowsCheck, resource: ResourceSpec) -> CheckResult:
    """Verify the values in the rows of a partition, whatever the scope of the check.

    Args:
        rows: The rows.
        check: The check.
        resource: The resource that is loaded into the table.
    """
    return _evaluate(_Rows(rows, rows.table.schema(), check.scope), check, resource)


def audit_values(outcome: "Outcome", check: RowsCheck, resource: ResourceSpec) -> CheckResult:
    """Verify the values in the rows that a load would add, or in all rows after it.

    Args:
        outcome: What the load does to the table.
        check: The check.
        resource: The resource that is loaded.
    """
    schema = outcome.state.metadata.schema()
    return _evaluate(_Rows(outcome, schema, check.scope), check, resource)


def _evaluate(rows: _Rows, check: RowsCheck, resource: ResourceSpec) -> CheckResult:
    if isinstance(check, FunctionCheck):
        return _call(rows, check, resource)
    if not isinstance(check, ConditionsCheck):
        msg = f"{type(check).__name__} is not a check of values"
        raise TypeError(msg)
    if isinstance(check, ExpressionCheck):
        return _count(rows, {f"`{check.sql}`": _as_in_table(check.sql, rows.schema)})
    if isinstance(check, AcceptedValuesCheck | AcceptedRangeCheck):
        names, absent = find_columns(rows.schema, list(check.columns))
        if absent:
            return absent
        columns = dict(zip(names, check.columns.values(), strict=True))
        check = check.model_copy(update={"columns": columns})
    return _count(rows, check.conditions())


def _as_in_table(sql: str, schema: "Schema") -> str:
    """Return an expression in which columns that the source spells otherwise are the table's."""
    import sqlglot
    from sqlglot import expressions

    present = [field.name for field in schema.fields]
    folded = {name.lower() for name in present}
    parsed = sqlglot.parse_one(sql, dialect="duckdb")
    renamed = False
    for column in parsed.find_all(expressions.Column):
        part = column.parts[0]
        found = None if part.name.lower() in folded else find_name(part.name, present)
        if found is not None:
            part.replace(expressions.to_identifier(found, quoted=True))
            renamed = True
    return parsed.sql(dialect="duckdb") if renamed else sql


def columns_in(sql: str) -> list[str]:
    """Return the names in an expression that may be columns."""
    import sqlglot
    from sqlglot import expressions

    parsed = sqlglot.parse_one(sql, dialect="duckdb")
    return [column.parts[0].name for column in parsed.find_all(expressions.Column)]


def _aggregates(sql: str) -> bool:
    import sqlglot
    from sqlglot import expressions

    parsed = sqlglot.parse_one(sql, dialect="duckdb")
    return parsed.find(expressions.AggFunc) is not None


def _count(rows: _Rows, conditions: Mapping[str, str]) -> CheckResult:
    """Count the rows that violate conditions, in one pass."""
    import duckdb

    wanted = {name.lower() for sql in conditions.values() for name in columns_in(sql)}
    every = [field.name for field in rows.schema.fields]
    # `count(*)` names none, and a stream has at least one.
    columns = [name for name in every if name.lower() in wanted] or every[:1]
    counts = [
        f"case when ({sql}) is false then 1 else 0 end"
        if _aggregates(sql)
        else f"count(*) filter (where not ({sql}))"
        for sql in conditions.values()
    ]
    # The expression is the user's own, but no reason to read files or load extensions.
    with duckdb.connect(":memory:", config={"enable_external_access": False}) as connection:
        connection.register(_ROWS, rows.reader(columns))
        query = f"select count(*), {', '.join(counts)} from {_ROWS}"  # noqa: S608
        try:
            found = connection.execute(query).fetchone()
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
            reason = str(error).partition("\n")[0]
            return CheckResult(False, f"The condition cannot be evaluated: {reason}")
        except (duckdb.DataError, duckdb.NotSupportedError) as error:
            # Its message contains the value that cannot be converted.
            reason = f"a value in the rows does not suit it ({type(error).__name__})"
            return CheckResult(False, f"The condition cannot be evaluated: {reason}.")
    number, *violations = found or (0, *(0 for _ in counts))
    return _judge(number, dict(zip(conditions, violations, strict=True)), conditions)


def _judge(rows: int, violations: Mapping[str, int], conditions: Mapping[str, str]) -> CheckResult:
    wrong = {name: count for name, count in violations.items() if count}
    metadata: dict[str, Any] = {"rows_checked": rows, "violations": sum(wrong.values())}
    if not wrong:
        names = ", ".join(violations)
        return CheckResult(True, f"{rows:,} rows meet the conditions on {names}.", metadata)
    details = [
        {"condition": conditions[name], "violations": str(count)} for name, count in wrong.items()
    ]
    metadata["conditions"] = table_of(details, ("condition", "violations"))
    found = ", ".join(
        f"{name} for all {rows:,} rows together"
        if _aggregates(conditions[name])
        else f"{name} in {count:,} of {rows:,} rows"
        for name, count in wrong.items()
    )
    return CheckResult(False, f"Not accepted: {found}.", metadata)


def _call(rows: _Rows, check: FunctionCheck, resource: ResourceSpec) -> CheckResult:
    """Call a user's function; an error of it fails the check."""
    names, absent = find_columns(rows.schema, check.columns)
    if absent:
        return absent
    columns = names or tuple(field.name for field in rows.schema.fields)
    try:
        answer = check.load(rows.reader(columns))
    except Exception as error:  # any error of a user's function
        details = f": {error}" if resource.show_values else ""
        summary = f"`{check.function}` raised {type(error).__name__}{details}."
        return CheckResult(False, summary, severity="error")
    if isinstance(answer, bool):
        verdict = "accepts" if answer else "rejects"
        return CheckResult(answer, f"`{check.function}` {verdict} the rows.")
    if isinstance(answer, dg.AssetCheckResult):
        default = f"`{check.function}` {'accepts' if answer.passed else 'rejects'} the rows."
        return CheckResult(answer.passed, answer.description or default, answer.metadata or {})
    msg = (
        f"`{check.function}` returned {type(answer).__name__}; it must return a boolean or a "
        "dagster.AssetCheckResult"
    )
    return CheckResult(False, msg, severity="error")
