"""Applies the schema contract to Arrow tables, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import RejectedRow
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import (
    ColumnTypeMismatch,
    arrow_type,
    cast_column,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_ingestion_defs.dlt_plugin.schema_contract.contract import Contract


def admit_table(table: pa.Table, contract: Contract) -> tuple[pa.Table, list[RejectedRow]]:
    """Return the accepted rows, and, if they are stored, the rejected ones with the reason.

    Args:
        table: Rows as read from the source.
        contract: The contract of the table.

    Raises:
        SchemaContractViolation: A row violates the contract, and the mode is `freeze`.
    """
    known = contract.known
    fields, columns = [], []
    # The first reason found, by row; most tables have none.
    reasons: dict[int, str] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        key = known.key(field.name)
        agreed = known.columns.get(key)
        if key.startswith("_dlt_") or (known.is_learning and pa.types.is_null(field.type)):
            wanted = field.type
        elif known.is_learning:
            wanted = known.learned.setdefault(key, field.type)
        elif agreed is None:
            _judge_new_column(field, column, key, contract, reasons)
            continue
        else:
            wanted = arrow_type(agreed, nested=contract.keeps_nested) or field.type
        if field.type != wanted:
            column = _judge_type(field, column, wanted, key, contract, reasons)
            field = field.with_type(wanted)
        fields.append(field)
        columns.append(column)
    admitted = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    if not reasons:
        return admitted, []
    for reason in reasons.values():
        contract.rejections.reject_rows(reason)
    bad = sorted(reasons)
    rejected = table.take(bad).to_pylist() if contract.keep else []
    mask = pa.array([position not in reasons for position in range(table.num_rows)])
    return admitted.filter(mask), [
        RejectedRow(reasons[position], row) for position, row in zip(bad, rejected, strict=False)
    ]


def _judge_new_column(
    field: pa.Field,
    column: pa.ChunkedArray,
    key: str,
    contract: Contract,
    reasons: dict[int, str],
) -> None:
    values = len(column) - column.null_count
    if not values:
        return
    if contract.mode == "freeze":
        first = column.drop_null()[0].as_py()
        raise contract.violation(key, None, data_type_of(field.type), first)
    if contract.mode == "discard_value":
        contract.rejections.reject_values(key, values)
        return
    for position in pc.indices_nonzero(pc.is_valid(column)).to_pylist():
        reasons.setdefault(position, f"column {key} is new")


def _judge_type(
    field: pa.Field,
    column: pa.ChunkedArray,
    wanted: pa.DataType,
    key: str,
    contract: Contract,
    reasons: dict[int, str],
) -> pa.ChunkedArray:
    try:
        return cast_or_nulls(field, column, wanted)
    except ColumnTypeMismatch:
        expected = contract.known.columns.get(key, {}).get("data_type") or data_type_of(wanted)
        found = data_type_of(field.type)
    misfits_found = misfit_positions(field, column, wanted)
    is_nested = pa.types.is_nested(field.type) and pa.types.is_nested(wanted)
    if contract.mode == "freeze":
        first = next(misfits_found)
        misfit = (key, expected, found)
        if is_nested:
            misfit = _field_that_differs(field, column.slice(first, 1), wanted, key)
        raise contract.violation(*misfit, column[first].as_py())
    bad = list(misfits_found)
    if contract.mode == "discard_value" and key not in contract.known.required:
        contract.rejections.reject_values(key, len(bad))
    else:
        for position in bad:
            misfit = (key, expected, found)
            if is_nested:
                misfit = _field_that_differs(field, column.slice(position, 1), wanted, key)
            name, known, other = misfit
            reason = "new" if known is None else f"{known}, not {other}"
            reasons.setdefault(position, f"column {name} is {reason}")
    misfits = set(bad)
    fits = pa.array([position not in misfits for position in range(len(column))])
    return cast_or_nulls(field, pc.if_else(fits, column, pa.scalar(None, field.type)), wanted)


def _field_that_differs(
    field: pa.Field, row: pa.ChunkedArray, wanted: pa.DataType, key: str
) -> tuple[str, str | None, str]:
    """Return the path inside of a column that does not match, with both types; None if it is new.

    Args:
        field: The column, as the source has it.
        row: Its value in one row, which does not match.
        wanted: The type of the table's column.
        key: The name of the table's column.
    """
    try:
        cast_column(field, row, wanted)
    except ColumnTypeMismatch as mismatch:
        path = key + mismatch.column.removeprefix(field.name)
        expected = None if mismatch.expected is None else _shown(mismatch.expected)
        return path, expected, _shown(mismatch.found)
    msg = f"the row fits column {key!r}"
    raise AssertionError(msg)


def _shown(kind: pa.DataType) -> str:
    """Return dlt's data type, or which nested type it is."""
    return str(kind).partition("<")[0] if pa.types.is_nested(kind) else data_type_of(kind)


def misfit_positions(
    field: pa.Field, column: pa.ChunkedArray, wanted: pa.DataType, start: int = 0
) -> Iterator[int]:
    """Yield the positions of values that cannot be cast, by bisection: few are expected."""
    try:
        cast_or_nulls(field, column, wanted)
    except ColumnTypeMismatch:
        if len(column) == 1:
            yield start
            return
        middle = len(column) // 2
        yield from misfit_positions(field, column.slice(0, middle), wanted, start)
        yield from misfit_positions(field, column.slice(middle), wanted, start + middle)


def cast_or_nulls(field: pa.Field, column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Cast a column; one without values fits every type, also where Arrow has no such cast."""
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), wanted)], type=wanted)
    return cast_column(field, column, wanted)


def data_type_of(kind: pa.DataType) -> str:
    """Return dlt's data type for an Arrow type."""
    from dlt.common.libs.pyarrow import get_column_type_from_py_arrow

    return str(get_column_type_from_py_arrow(kind).get("data_type", kind))
