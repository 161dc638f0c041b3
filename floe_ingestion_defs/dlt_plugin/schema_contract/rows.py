"""The contract over rows that are dicts, as APIs and Python sources give them.

What is nested in a row is judged as what dlt makes of it: a dict as further columns of the same
table, a list as rows of a table of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.data_types.type_helpers import coerce_value, py_type_to_sc_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_ingestion_defs.dlt_plugin.schema_contract.contract import Contract

Row = dict[str, Any]
Refused = list[tuple[str, Any]]
# dlt's column for a list of values that are no dicts.
_VALUE = "value"


def admit_rows(rows: Sequence[Row], contract: Contract) -> tuple[list[Row], Refused]:
    """Give the rows that are admitted, and those that are refused with the reason.

    Args:
        rows: Rows as the source gave them.
        contract: What holds for them.

    Raises:
        SchemaContractViolation: Something does not fit, and the mode is `freeze`.
    """
    admitted: list[Row] = []
    refused: Refused = []
    for row in rows:
        judged = _JudgedRow(contract)
        fits = judged.admit(row)
        if judged.wrong and contract.mode == "discard_row":
            reason = next(iter(judged.wrong.values()))
            contract.rejections.refuse_rows(reason)
            refused.append((reason, row))
            continue
        for key in judged.wrong:
            contract.rejections.refuse_values(contract.name_of(key))
        for inside, name, values, of_list in judged.lists:
            inside[name], refused_inside = _admit_list(values, of_list)
            refused += refused_inside
        admitted.append(fits)
    return admitted, refused


class _JudgedRow:
    """What fits of a row, and what does not.

    Args:
        contract: What holds for it.
    """

    def __init__(self, contract: Contract) -> None:
        self.wrong: dict[str, str] = {}
        """Why values do not fit, by column."""
        self.lists: list[tuple[Row, str, list[Any], Contract]] = []
        """Lists whose items are rows of another table: where they are, and what holds for them."""
        self._contract = contract

    def admit(self, row: Row, prefix: str = "") -> Row:
        """Give what fits of a row, or of a dict in it, whose columns begin with `prefix`."""
        known = self._contract.known
        fits: Row = {}
        for name, value in row.items():
            key = prefix + known.key(name)
            column = known.columns.get(key)
            if column is None and not key.startswith("_dlt_"):
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


def _admit_list(values: list[Any], contract: Contract) -> tuple[list[Any], Refused]:
    """Judge the items of a list; a list in a list is left to dlt."""
    if any(isinstance(value, list) for value in values):
        return values, []
    rows = [value if isinstance(value, dict) else {_VALUE: value} for value in values]
    plain = not any(isinstance(value, dict) for value in values)
    admitted, refused = admit_rows(rows, contract)
    if plain:
        return [row[_VALUE] for row in admitted if _VALUE in row], refused
    return admitted, refused


def _reason(key: str, value: Any, contract: Contract) -> str | None:
    """Say why a value does not fit; None where it does."""
    if value is None or key.startswith("_dlt_"):
        return None
    column = contract.known.columns.get(key)
    found = py_type_to_sc_type(type(value))
    if column is None:
        if contract.mode == "freeze":
            raise contract.violation(key, None, found, value)
        return f"column {contract.name_of(key)} is new"
    expected = column["data_type"]
    if found == expected:
        return None
    try:
        coerce_value(expected, found, value)
    except (ValueError, TypeError, ArithmeticError):
        if contract.mode == "freeze":
            raise contract.violation(key, expected, found, value) from None
        return f"column {contract.name_of(key)} is {expected}, not {found}"
    return None
