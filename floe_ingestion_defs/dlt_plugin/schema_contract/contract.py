"""Schema contracts: how new columns and type changes are handled.

The gate in `gate` decides alone, and dlt's own contract lets everything pass: dlt drops rows and
values without counting them, and takes a reflected precision or time zone for a change of type.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from floe_ingestion_defs.dlt_plugin.errors.exceptions import SchemaContractViolation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.schema import Schema
    from dlt.common.schema.typing import TSchemaContractDict

    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections

# Suffix of the table that stores the rows rejected from another table.
REJECTED_SUFFIX = "__rejected"
_LONGEST_VALUE = 100
_FROZEN = "the schema contract is `freeze`"
CONFLICT_REMEDY = (
    "under the contract evolve, set type_conflict: variant, or text, which loads the values that "
    "do not fit into a column of their own, such as amount__v_text"
)
StrictMode = Literal["freeze", "discard_row", "discard_value"]
# dlt's contract of every resource whose contract is the gate's.
LET_PASS: TSchemaContractDict = {"tables": "evolve", "columns": "evolve", "data_type": "evolve"}


def contract_violation(
    table: str,
    column: str,
    expected: str | None,
    found: str | None,
    value: str | None = None,
    *,
    file: str | None = None,
    **about: str,
) -> SchemaContractViolation:
    """Return the error that describes a violation, and how to resolve it.

    Args:
        table: Table whose contract is violated.
        column: Column that does not match; empty if the table itself is new.
        expected: dlt's data type of the column; None if the column is new.
        found: dlt's data type of the data, if known.
        value: The value that does not match, if it may be shown.
        file: The file that has it, if the source has files.
        **about: Source, table and pipeline, as in `IngestionError`.
    """
    example = "" if value is None else f", such as {value}"
    if column and expected is None:
        known = f"{found or 'of unknown type'}{example}"
        of_type = f" ({known})" if found or value is not None else ""
        problem = f"new column {column!r}{of_type} in table {table!r}, but {_FROZEN}"
    elif column:
        returned = f"the source returned {found or 'values of another type'}{example}"
        problem = f"column {column!r} of table {table!r} is {expected}, but {returned}"
    else:
        problem = f"new table {table!r}, but {_FROZEN}"
    if file is not None:
        problem = f"{file}: {problem}"
    msg = (
        f"{problem}; correct the source, declare the column under `columns`, or set "
        "schema_contract: evolve. Nothing was loaded"
    )
    return SchemaContractViolation(
        msg, table=table, column=column, expected=expected, found=found, value=value, **about
    )


def type_conflict(
    table: str, column: str, expected: str | None, found: str | None, *, required: bool = False
) -> SchemaContractViolation:
    """Return the error about values of a type that their column cannot be widened to.

    Args:
        table: Table of the column.
        column: The column.
        expected: Its type.
        found: The type of the values.
        required: Whether the column is a key, the cursor, or may not be null.
    """
    if required:
        remedy = (
            "it is a key, the cursor or not nullable, so its values cannot be stored in another "
            "column; correct the source, or exclude such rows"
        )
    else:
        remedy = f"correct the source, or {CONFLICT_REMEDY}"
    msg = (
        f"column {column!r} of table {table!r} is {expected}, but the source returned {found}, "
        f"which it cannot be widened to; {remedy}. Nothing was loaded"
    )
    return SchemaContractViolation(msg, table=table, column=column, expected=expected, found=found)


def shown_value(value: Any) -> str:
    """Return a value in the form that an error shows."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


class KnownTable:
    """The expected schema of a table before a load: its columns, and the tables nested in it.

    Args:
        schema: dlt's schema as it was at the start of the load.
        table: Name of the table.
        named: Columns of any type that the configuration names as keys or cursor.
        required: Columns of which the configuration requires values.
    """

    def __init__(
        self,
        schema: Schema,
        table: str,
        named: Iterable[str] = (),
        required: Iterable[str] = (),
    ) -> None:
        self.name = table
        self.learned: dict[str, Any] = {}
        """The types of the first load's columns, of dlt for dicts and of Arrow for tables, if
        nothing is known of the table: the first value of a column decides."""
        self._normalize = schema.naming.normalize_path
        self._names: dict[str, str] = {}
        known = schema.tables.get(table, {}).get("columns", {})
        self.columns: dict[str, Mapping[str, Any]] = {
            name: column for name, column in known.items() if column.get("data_type")
        }
        self.required = {self.key(name) for name in required} | {
            name for name, column in self.columns.items() if column.get("nullable") is False
        }
        if self.columns:
            self.columns |= {
                key: {} for name in named if (key := self.key(name)) not in self.columns
            }
        self._schema = schema
        self._inside: dict[str, bool] = {}
        self._tables: dict[str, KnownTable | None] = {}

        self.is_learning = not self.columns

    def __bool__(self) -> bool:
        return bool(self.columns)

    def key(self, name: str) -> str:
        """Return the name that a source's column has in the table."""
        key = self._names.get(name)
        if key is None:
            key = self._names[name] = self._normalize(name)
        return key

    def has_inside(self, key: str) -> bool:
        """Return whether a dict's values are stored in further columns, or tables."""
        if key not in self._inside:
            tables = (name.removeprefix(f"{self.name}__") for name in self._schema.tables)
            self._inside[key] = any(
                name.startswith(f"{key}__") for name in (*self.columns, *tables)
            )
        return self._inside[key]

    def table_inside(self, key: str) -> KnownTable | None:
        """Return the table of a list's items; None if it does not exist yet."""
        if key not in self._tables:
            found = KnownTable(self._schema, f"{self.name}__{key}")
            self._tables[key] = found if found else None
        return self._tables[key]


@dataclass(frozen=True)
class Contract:
    """The contract of the rows of one table during one load.

    Attributes:
        known: The expected schema.
        mode: How rows and values that do not match are handled.
        rejections: Counts the rejected rows and values.
        keep: Whether rejected rows are stored.
        show_values: Whether an error may contain the value that does not match.
        nested: Whether the rows are items of lists in the rows of another table.
        new_columns: Whether columns that are not known are accepted.
        keeps_nested: Whether nested values stay structs, lists and maps.
    """

    known: KnownTable
    mode: StrictMode
    rejections: Rejections
    keep: bool = False
    show_values: bool = False
    nested: bool = False
    new_columns: bool = False
    keeps_nested: bool = False

    def inside(self, key: str) -> Contract | None:
        """Return the contract of the items of a list; None if its table is not known yet."""
        table = self.known.table_inside(key)
        return None if table is None else replace(self, known=table, nested=True)

    def name_of(self, key: str) -> str:
        """Return the name of a column, with its table if that is nested."""
        return f"{self.known.name}.{key}" if self.nested else key

    def violation(
        self, column: str, expected: str | None, found: str | None, value: Any
    ) -> SchemaContractViolation:
        """Return the error about a value that does not match; see `contract_violation`."""
        shown = shown_value(value) if self.show_values else None
        file = self.rejections.current_file
        return contract_violation(self.known.name, column, expected, found, shown, file=file)
