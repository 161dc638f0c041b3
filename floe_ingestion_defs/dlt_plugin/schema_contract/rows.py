"""Applies the schema contract to rows that are dicts, as APIs and Python sources return them.

Nested values are treated as dlt stores them: a dict as further columns of the same table, a list as
rows of a separate table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.data_types.type_helpers import coerce_value, py_type_to_sc_type
from dlt.common.schema.detections import is_iso_timestamp

from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import RejectedRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_ingestion_defs.dlt_plugin.schema_contract.contract import Contract

Row = dict[str, Any]
# dlt's columns for the items of a list that are not dicts: values, and lists.
_VALUE, _LIST = "value", "list"


def admit_rows(rows: Sequence[Row], contract: Contract) -> tuple[list[Row], list[RejectedRow]]:
    """Return the accepted rows, and the rejected ones with the reason.

    Args:
        rows: Rows as read from the source.
        contract: The contract of the table.

    Raises:
        SchemaContractViolation: A row violates the contract, and the mode is `freeze`.
    """
    admitted: list[Row] = []
    rejected: list[RejectedRow] = []
    nested_table = contract.known.name if contract.nested else None
    for row in rows:
        verdict = _RowVerdict(contract)
        fits = verdict.admit(row)
        required = verdict.wrong.keys() & contract.known.required
        if required or (verdict.wrong and contract.mode == "discard_row"):
            reason = (
                verdict.wrong[min(required)] if required else next(iter(verdict.wrong.values()))
            )
            contract.rejections.reject_rows(reason)
            rejected.append(RejectedRow(reason, row, nested_table))
            continue
        for key in verdict.wrong:
            contract.rejections.reject_values(contract.name_of(key))
        for inside, name, values, of_list in verdict.lists:
            inside[name], rejected_inside = _admit_list(values, of_list)
            rejected += rejected_inside
        admitted.append(fits)
    return admitted, rejected


class _RowVerdict:
    """Which values of a row match the contract, and which do not.

    Args:
        contract: The contract of the row.
    """

    def __init__(self, contract: Contract) -> None:
        self.wrong: dict[str, str] = {}
        """Why values do not match, by column."""
        self.lists: list[tuple[Row, str, list[Any], Contract]] = []
        """Lists whose items are rows of another table, with their place and their contract."""
        self._contract = contract

    def admit(self, row: Row, prefix: str = "") -> Row:
        """Return the matching values of a row, or of a dict in it whose columns have a prefix."""
        known = self._contract.known
        fits: Row = {}
        for name, value in row.items():
            key = prefix + known.key(name)
            column = known.columns.get(key)
            if column is None and not key.startswith("_dlt_"):
                if known.is_learning and (value is None or isinstance(value, (dict, list))):
                    # Where nested values are stored is known only after the load; and without its
                    # nulls, an `scd2` row would differ from the same row in the next load.
                    fits[name] = value
                    continue
                if value is None:
                    continue
                if isinstance(value, dict) and (not value or known.has_inside(key)):
                    fits[name] = self.admit(value, f"{key}__")
                    continue
                if isinstance(value, list) and (not value or known.table_inside(key)):
                    fits[name] = value
                    if (inside := self._contract.inside(key)) is not None:
                        self.lists.append((fits, name, value, inside))
                    continue
            reason = _reason(key, value, self._contract)
            if reason is None:
                fits[name] = value
            else:
                self.wrong[key] = reason
        return fits


def _type_by_first_value(value: Any) -> str:
    """Return the data type that dlt gives a column whose first value this is."""
    if isinstance(value, str) and is_iso_timestamp(str, value):
        return "timestamp"
    return py_type_to_sc_type(type(value))


def _admit_list(values: list[Any], contract: Contract) -> tuple[list[Any], list[RejectedRow]]:
    """Return the accepted and the rejected items of a list."""
    admitted, rejected = admit_rows([_as_row(value) for value in values], contract)
    if any(isinstance(value, dict) for value in values):
        return admitted, rejected
    return [value for row in admitted for value in row.values()], rejected


def _as_row(value: Any) -> Row:
    """Return an item of a list as the row that dlt stores it as."""
    if isinstance(value, dict):
        return value
    return {_LIST if isinstance(value, list) else _VALUE: value}


def _reason(key: str, value: Any, contract: Contract) -> str | None:
    """Return why a value does not match the contract; None if it does."""
    if value is None or key.startswith("_dlt_"):
        return None
    known = contract.known
    column = known.columns.get(key)
    found = py_type_to_sc_type(type(value))
    if known.is_learning:
        column = {"data_type": known.learned.setdefault(key, _type_by_first_value(value))}
    if column is None:
        if contract.new_columns:
            return None
        if contract.mode == "freeze":
            raise contract.violation(key, None, found, value)
        return f"column {contract.name_of(key)} is new"
    expected = column.get("data_type")
    if expected is None or found == expected:
        return None
    try:
        coerce_value(expected, found, value)
    except (ValueError, TypeError, ArithmeticError):
        if contract.mode == "freeze":
            raise contract.violation(key, expected, found, value) from None
        return f"column {contract.name_of(key)} is {expected}, not {found}"
    return None
