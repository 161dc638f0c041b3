"""Running a program against one destination, and what it leaves after each step."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pandas as pd
import polars as pl
import pyarrow as pa
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.helpers import pipeline_drop
from dlt_suite.programs.program import Drop, Extract, Load, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt_suite.programs.program import Row
    from dlt_suite.runs import Run


Content = dict[str, tuple[list[str], list[str]]]
"""The columns and the rows of each table, in a comparable form."""


class SourceError(Exception):
    """What a failing source raises."""


def execute(program: Program, run: Run) -> Iterator[tuple[str, Content]]:
    """Run the steps; yield after each whether it succeeded, and the content of the tables."""
    pipeline = run.pipeline()
    for step in program.steps:
        if isinstance(step, Load) and step.is_new_directory:
            pipeline = run.pipeline()
        try:
            if isinstance(step, Drop):
                pipeline.sync_destination()
                if step.source in pipeline.schemas:
                    drop = pipeline_drop(pipeline, resources=step.resource, schema_name=step.source)
                    if not drop.is_empty:
                        drop()
            else:
                refresh: Any = step.refresh  # dlt declares a mode, and accepts None.
                pipeline.run(_source(step, program), refresh=refresh)
            outcome = "succeeded"
        except PipelineStepFailed as failed:
            outcome = f"failed in {failed.step}"
            pipeline = run.pipeline()
        yield outcome, contents(run)


def _source(load: Load, program: Program) -> Any:
    @dlt.source(name=load.source, root_key=program.root_key)
    def source() -> Any:
        return [_resource(extract, fails=load.fails) for extract in load.extracts]

    return source()


def _resource(extract: Extract, *, fails: bool) -> Any:
    if extract.cursor is not None:
        last = extract.cursor

        def rows(cursor: Any = dlt.sources.incremental("id", initial_value=-1)) -> Any:  # noqa: B008
            yield [row for row in extract.rows if cursor.last_value < row["id"] <= last]
            if fails:
                raise SourceError

        return dlt.resource(rows, name=extract.resource, **extract.hints)

    def plain() -> Any:
        yield _as_form(extract)
        if fails:
            raise SourceError

    return dlt.resource(plain, name=extract.resource, **extract.hints)


def _as_form(extract: Extract) -> Any:
    rows = [dict(row) for row in extract.rows]
    if extract.form == "dict" or not rows:
        return rows
    table = pa.Table.from_pylist(rows)
    for index, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):  # Its inferred type depends on the values.
            decimals = table.column(index).cast(pa.decimal128(38, 9))
            table = table.set_column(index, column.name, decimals)
    # A column that is null in all rows has no type.
    table = table.select([f.name for f in table.schema if not pa.types.is_null(f.type)])
    if extract.form == "pandas":
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame
    if extract.form == "polars":
        return pl.from_arrow(table)
    return table


def contents(run: Run) -> Content:
    """Return the columns and the rows of each table, a nested row with the one it belongs to.

    Raises:
        AssertionError: A nested row of `iceberg` belongs to none. In `duckdb`, an upsert leaves
            such rows where no upsert loaded the root row before; they are not compared.
    """
    tables = run.arrow_tables()
    parents: dict[str, set[str]] = {}
    found: Content = {}
    for name in sorted(tables, key=lambda name: (len(name), name)):
        described = []
        for row in tables[name].to_pylist():
            parent_key = _key(row, "parent_id")
            above = None if parent_key is None else sorted(parents.get(parent_key, ()))
            if above == []:
                assert run.destination == "duckdb", f"an orphan in {name}: {row}"
                continue
            described.append(repr((_comparable_row(row), above)))
            if key := _key(row, "id"):
                parents.setdefault(key, set()).add(described[-1])
        columns = sorted(tables[name].column_names)
        found[name] = columns, sorted(described)
    return found


def _key(row: Row, name: str) -> Any:
    return next((v for k, v in row.items() if k.lower() == f"_dlt_{name}"), None)


def _comparable_row(row: Row) -> list[tuple[str, str]]:
    return sorted((k, _comparable(k, v)) for k, v in row.items() if v is not None)


def _comparable(column: str, value: Any) -> str:
    if column.lower().startswith("_dlt_") and not column.lower().endswith("_idx"):
        return "set"  # Random, or the time of the load, or derived from what is.
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return str(value.normalize())
    return str(value)
