"""Judges a quarantined row as if it was just read: whether it fits the table now.

Rows are stored as JSON, so dates, decimals and bytes are strings, which are converted back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from dlt.common.data_types.type_helpers import coerce_value, py_type_to_sc_type
from dlt.common.json import json

from floe_ingestion_defs.dlt_plugin.schema_contract.contract import (
    Contract,
    KnownTable,
    StrictMode,
)
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections
from floe_ingestion_defs.dlt_plugin.schema_contract.rows import admit_rows
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import arrow_type, cast_column, plain_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlt.common.schema import Schema

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

Row = dict[str, Any]
# Arrow's form of a date or timestamp outside of the years 1 to 9999.
_OUT_OF_RANGE = re.compile(r"[+-]|\d{5,}-|0000-")


class DoesNotFit(ValueError):
    """A row still does not fit its table.

    Attributes:
        reason: Why, without values of the row.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class RowFit:
    """Judges the quarantined rows of one resource.

    Attributes:
        spec: The resource.
        known: Its table.
        rejections: Counts the values that the contract removes from rows.
    """

    spec: ResourceSpec
    known: KnownTable
    rejections: Rejections = field(default_factory=Rejections)

    @classmethod
    def of(cls, spec: ResourceSpec, schema: Schema) -> RowFit:
        """Return what judges rows by the schema at the start of a load."""
        keys = (*spec.primary_key, *spec.merge_key)
        named = keys if spec.cursor_field is None else (*keys, spec.cursor_field)
        return cls(spec, KnownTable(schema, spec.table_name, named=named, required=keys))

    def fit(self, stored: str) -> Row:
        """Return the row of its JSON, without values that the contract does not accept.

        Raises:
            DoesNotFit: The row still does not fit.
        """
        loaded: Row = json.loads(stored)
        row = {name: value for name, value in loaded.items() if not name.startswith("_dlt_")}
        if self.spec.out_of_range_dates == "null":
            row = {name: self._in_range(name, value) for name, value in row.items()}
        if not self.known:
            return row
        contract = self.spec.schema_contract
        mode = "discard_value" if contract == "discard_value" else "discard_row"
        found = Rejections()
        admitted, rejected = admit_rows(
            [row],
            Contract(self.known, cast("StrictMode", mode), found, new_columns=contract == "evolve"),
        )
        if rejected or not admitted:
            raise DoesNotFit(rejected[0].reason)
        for column, values in found.values_by_column.items():
            self.rejections.reject_values(column, values)
        return admitted[0]

    def _in_range(self, name: str, value: Any) -> Any:
        data_type = self.known.columns.get(self.known.key(name), {}).get("data_type")
        if data_type not in ("date", "timestamp") or not isinstance(value, str):
            return value
        return None if _OUT_OF_RANGE.match(value) else value

    def typed(self, row: Row) -> Row:
        """Return a row by the names and in the types of its table's columns.

        Raises:
            DoesNotFit: A value has no counterpart in the column's type.
        """
        return {
            (key := self.known.key(name)): self._typed(key, value) for name, value in row.items()
        }

    def _typed(self, key: str, value: Any) -> Any:
        column = self.known.columns.get(key, {})
        wanted = arrow_type(column, nested=self.spec.keeps_nested)
        if value is None or (wanted is None and self.spec.keeps_nested):
            return value
        if wanted is None:
            return json.dumps(value) if isinstance(value, (dict, list)) else value
        expected = column["data_type"]
        try:
            if pa.types.is_nested(wanted):
                found = pa.chunked_array([pa.array([value])])
                return cast_column(pa.field(key, found.type), found, wanted)[0].as_py()
            if expected == "json":
                value = value if isinstance(value, str) else json.dumps(value)
            else:
                value = coerce_value(expected, py_type_to_sc_type(type(value)), value)
            if pa.types.is_timestamp(wanted) and wanted.tz is None:
                value = value.replace(tzinfo=None)
            return pa.scalar(value, wanted).as_py()
        except (ValueError, TypeError, ArithmeticError):
            reason = f"column {key} is {expected}, and the value does not fit"
            raise DoesNotFit(reason) from None

    def as_table(self, rows: Sequence[Row]) -> pa.Table:
        """Return typed rows as an Arrow table."""
        columns: dict[str, pa.Array] = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            values = [row.get(name) for row in rows]
            nested = self.spec.keeps_nested
            wanted = arrow_type(self.known.columns.get(name, {}), nested=nested)
            if wanted is None:
                column = _inferred(values)
                if nested and pa.types.is_nested(column.type):
                    columns[name] = column
                    continue
                wanted = plain_type(column.type)
                if pa.types.is_null(column.type):
                    continue
                columns[name] = column.cast(wanted)
            else:
                columns[name] = pa.array(values, wanted)
        return pa.table(columns)


def _inferred(values: list[Any]) -> pa.Array:
    """Return the values of a new column; as strings if their types are not the same."""
    try:
        return pa.array(values)
    except pa.ArrowInvalid:
        return pa.array([None if value is None else str(value) for value in values])
