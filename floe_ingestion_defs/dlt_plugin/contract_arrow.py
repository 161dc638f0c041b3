"""The contract over Arrow tables, as files and databases give them, a column at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.dlt_plugin.contracts import KnownTable, StrictMode, contract_violation
from floe_ingestion_defs.dlt_plugin.rejections import Rejections
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import (
    ColumnTypeMismatch,
    arrow_type,
    cast_column,
)


def admit_table(
    table: pa.Table, known: KnownTable, mode: StrictMode, rejections: Rejections, *, keep: bool
) -> tuple[pa.Table, list[tuple[str, Any]]]:
    """Give the rows that are admitted, and, where they are kept, those refused with the reason.

    Args:
        table: Rows as the source gave them.
        known: What was agreed on.
        mode: What happens to the rest.
        rejections: Where it is counted.
        keep: Whether refused rows are wanted.

    Raises:
        SchemaContractViolation: Something does not fit, and the mode is `freeze`.
    """
    fields, columns = [], []
    # Reasons by row, the first found; most tables have none.
    reasons: dict[int, str] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        key = known.key(field.name)
        agreed = known.columns.get(key)
        if key.startswith("_dlt_"):
            wanted = field.type
        elif agreed is None:
            _judge_new_column(field, column, key, known, mode, rejections, reasons)
            continue
        else:
            wanted = arrow_type(agreed) or field.type
        if field.type != wanted:
            column = _judge_type(field, column, wanted, key, known, mode, rejections, reasons)
            field = field.with_type(wanted)
        fields.append(field)
        columns.append(column)
    admitted = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    if not reasons:
        return admitted, []
    for reason in reasons.values():
        rejections.refuse_rows(reason)
    bad = sorted(reasons)
    refused = table.take(bad).to_pylist() if keep else []
    mask = pa.array([position not in reasons for position in range(table.num_rows)])
    return admitted.filter(mask), [
        (reasons[position], row) for position, row in zip(bad, refused, strict=False)
    ]


def _judge_new_column(
    field: pa.Field,
    column: pa.ChunkedArray,
    key: str,
    known: KnownTable,
    mode: StrictMode,
    rejections: Rejections,
    reasons: dict[int, str],
) -> None:
    values = len(column) - column.null_count
    if not values:
        return
    if mode == "freeze":
        raise contract_violation(known.name, key, None, _data_type(field.type))
    if mode == "discard_value":
        rejections.refuse_values(key, values)
        return
    for position in pc.indices_nonzero(pc.is_valid(column)).to_pylist():
        reasons.setdefault(position, f"column {key} is new")


def _judge_type(
    field: pa.Field,
    column: pa.ChunkedArray,
    wanted: pa.DataType,
    key: str,
    known: KnownTable,
    mode: StrictMode,
    rejections: Rejections,
    reasons: dict[int, str],
) -> pa.ChunkedArray:
    try:
        return cast_column(field, column, wanted)
    except ColumnTypeMismatch:
        expected = known.columns[key]["data_type"]
        found = _data_type(field.type)
    if mode == "freeze":
        raise contract_violation(known.name, key, expected, found)
    bad = list(_misfits(field, column, wanted, 0))
    if mode == "discard_value":
        rejections.refuse_values(key, len(bad))
    else:
        for position in bad:
            reasons.setdefault(position, f"column {key} is {expected}, not {found}")
    misfits = set(bad)
    fits = pa.array([position not in misfits for position in range(len(column))])
    return cast_column(field, pc.if_else(fits, column, pa.scalar(None, field.type)), wanted)


def _misfits(
    field: pa.Field, column: pa.ChunkedArray, wanted: pa.DataType, start: int
) -> Iterator[int]:
    """Find the values that cannot be cast, by halving: few are expected among many."""
    try:
        cast_column(field, column, wanted)
    except ColumnTypeMismatch:
        if len(column) == 1:
            yield start
            return
        middle = len(column) // 2
        yield from _misfits(field, column.slice(0, middle), wanted, start)
        yield from _misfits(field, column.slice(middle), wanted, start + middle)


def _data_type(kind: pa.DataType) -> str:
    from dlt.common.libs.pyarrow import get_column_type_from_py_arrow

    return str(get_column_type_from_py_arrow(kind).get("data_type", kind))
