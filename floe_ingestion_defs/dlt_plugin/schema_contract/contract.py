"""Schema contracts: what happens to columns and types that nobody agreed on.

dlt's own contract is set as well; a gate of ours stands before it (`contract_gate`), because dlt
drops without counting, and compares Arrow's types by more than their names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from floe_ingestion_defs.dlt_plugin.errors.exceptions import SchemaContractViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlt.common.schema import Schema
    from dlt.common.schema.typing import TSchemaContractDict, TSchemaEvolutionMode

    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections

# What the table of refused rows is called, after the table that refused them.
REJECTED_SUFFIX = "__rejected"
_LONGEST_VALUE = 100
StrictMode = Literal["freeze", "discard_row", "discard_value"]


def contract_settings(mode: str) -> TSchemaContractDict:
    """Give dlt's contract for one of our modes.

    Tables always evolve: which tables a source loads is said by its configuration, and a first
    load has to be able to make them.

    Args:
        mode: `evolve`, `freeze`, `discard_row` or `discard_value`.
    """
    entity = cast("TSchemaEvolutionMode", mode)
    return {"tables": "evolve", "columns": entity, "data_type": entity}


def contract_violation(
    table: str,
    column: str,
    expected: str | None,
    found: str | None,
    value: str | None = None,
    **about: str,
) -> SchemaContractViolation:
    """Make the error that says what does not fit, and the ways out.

    Args:
        table: Table whose contract is violated.
        column: Column that does not fit; empty where the table itself is new.
        expected: dlt's data type of the column; None where the column is new.
        found: dlt's data type of what came, as far as known.
        value: The value that came, where it may be shown.
        **about: Source, table and pipeline, as every `IngestionError` takes them.
    """
    came = f"{found or 'other values'} came"
    if value is not None:
        came += f", such as {value}"
    if column and expected is None:
        of_type = f" ({came})" if found or value is not None else ""
        what = f"column {column!r}{of_type} of table {table!r} is new, and its columns are frozen"
    elif column:
        what = f"column {column!r} of table {table!r} is {expected}, and {came}"
    else:
        what = f"table {table!r} is new, and tables are frozen"
    msg = (
        f"{what}; change the source, declare the column under `columns`, or set "
        "schema_contract: evolve. Nothing was loaded"
    )
    return SchemaContractViolation(
        msg, table=table, column=column, expected=expected, found=found, value=value, **about
    )


def shown_value(value: Any) -> str:
    """Give a value as an error shows it."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


class KnownTable:
    """What was agreed on for a table before a load: its columns, and the tables nested in it.

    Args:
        schema: dlt's schema as it was at the start of the load.
        table: Name of the table.
    """

    def __init__(self, schema: Schema, table: str) -> None:
        self.name = table
        self._normalize = schema.naming.normalize_path
        self._names: dict[str, str] = {}
        known = schema.tables.get(table, {}).get("columns", {})
        self.columns: dict[str, Mapping[str, Any]] = {
            name: column for name, column in known.items() if column.get("data_type")
        }
        self._schema = schema
        self._inside: dict[str, bool] = {}
        self._tables: dict[str, KnownTable | None] = {}

    def __bool__(self) -> bool:
        return bool(self.columns)

    def key(self, name: str) -> str:
        """Give the name that a source's column has in the table."""
        key = self._names.get(name)
        if key is None:
            key = self._names[name] = self._normalize(name)
        return key

    def has_inside(self, key: str) -> bool:
        """Whether a dict's values are spread over further columns, or tables."""
        if key not in self._inside:
            tables = (name.removeprefix(f"{self.name}__") for name in self._schema.tables)
            self._inside[key] = any(
                name.startswith(f"{key}__") for name in (*self.columns, *tables)
            )
        return self._inside[key]

    def table_inside(self, key: str) -> KnownTable | None:
        """Give the table of a list's items; None where there is none yet."""
        if key not in self._tables:
            found = KnownTable(self._schema, f"{self.name}__{key}")
            self._tables[key] = found if found else None
        return self._tables[key]


@dataclass(frozen=True)
class Contract:
    """What holds for the rows of one table during one load.

    Args:
        known: What was agreed on.
        mode: What happens to the rest.
        rejections: Where it is counted.
        keep: Whether refused rows are kept.
        show_values: Whether an error may hold the value that does not fit.
        nested: Whether the rows are items of lists in the rows of another table.
    """

    known: KnownTable
    mode: StrictMode
    rejections: Rejections
    keep: bool = False
    show_values: bool = False
    nested: bool = False

    def inside(self, key: str) -> Contract | None:
        """Give what holds for the items of a list; None where its table is not known yet."""
        table = self.known.table_inside(key)
        return None if table is None else replace(self, known=table, nested=True)

    def name_of(self, key: str) -> str:
        """Name a column, with its table where that is not the resource's own."""
        return f"{self.known.name}.{key}" if self.nested else key

    def violation(
        self, column: str, expected: str | None, found: str | None, value: Any
    ) -> SchemaContractViolation:
        """Make the error about a value that does not fit; see `contract_violation`."""
        shown = shown_value(value) if self.show_values else None
        return contract_violation(self.known.name, column, expected, found, shown)
