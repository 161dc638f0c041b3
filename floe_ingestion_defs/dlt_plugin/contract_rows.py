"""The contract over rows that are dicts, as APIs and Python sources give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlt.common.data_types.type_helpers import coerce_value, py_type_to_sc_type

from floe_ingestion_defs.dlt_plugin.contracts import Contract, KnownTable

Row = dict[str, Any]


def admit_rows(rows: Sequence[Row], contract: Contract) -> tuple[list[Row], list[tuple[str, Any]]]:
    """Give the rows that are admitted, and those that are refused with the reason.

    Args:
        rows: Rows as the source gave them.
        contract: What holds for them.

    Raises:
        SchemaContractViolation: Something does not fit, and the mode is `freeze`.
    """
    known, rejections = contract.known, contract.rejections
    admitted: list[Row] = []
    refused: list[tuple[str, Any]] = []
    for row in rows:
        wrong = [(name, reason) for name in row if (reason := _reason(row, name, contract))]
        if not wrong:
            admitted.append({name: row[name] for name in row if not _is_void(row, name, known)})
        elif contract.mode == "discard_row":
            rejections.refuse_rows(wrong[0][1])
            refused.append((wrong[0][1], row))
        else:
            left_out = {name for name, _ in wrong}
            for name in left_out:
                rejections.refuse_values(known.key(name))
            admitted.append({name: value for name, value in row.items() if name not in left_out})
    return admitted, refused


def _is_void(row: Row, name: str, known: KnownTable) -> bool:
    key = known.key(name)
    return row[name] is None and key not in known.columns and not key.startswith("_dlt_")


def _reason(row: Row, name: str, contract: Contract) -> str | None:
    """Say why a value does not fit; None where it does."""
    known = contract.known
    value, key = row[name], known.key(name)
    if value is None or key.startswith("_dlt_"):
        return None
    column = known.columns.get(key)
    found = py_type_to_sc_type(type(value))
    if column is None:
        if isinstance(value, (dict, list)) and known.is_nested(key):
            return None
        if contract.mode == "freeze":
            raise contract.violation(key, None, found, value)
        return f"column {key} is new"
    expected = column["data_type"]
    if found == expected:
        return None
    try:
        coerce_value(expected, found, value)
    except (ValueError, TypeError, ArithmeticError):
        if contract.mode == "freeze":
            raise contract.violation(key, expected, found, value) from None
        return f"column {key} is {expected}, not {found}"
    return None
