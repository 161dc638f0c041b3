"""Handles values of a type that a column of the table does not have, and Iceberg cannot widen to.

dlt stores such values of rows that are dicts in a variant column, `amount__v_text` beside `amount`.
Here Arrow tables get the same columns, or the conflict fails the load, or all such values become
text. Conflicts are handled under the contract `evolve`; the other contracts decide for themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.data_types.type_helpers import coerce_value, py_type_to_sc_type
from dlt.common.json import json
from dlt.extract.hints import HintsMeta

from floe_ingestion_defs.dlt_plugin.schema_contract.arrow import (
    cast_or_nulls,
    data_type_of,
    misfit_positions,
)
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import KnownTable, type_conflict
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import arrow_type, plain_type
from floe_ingestion_defs.dlt_plugin.steps import Step, as_table, is_arrow, items_of, table_named_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlt.common.schema import Schema
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_VARIANT = "{name}__v_{data_type}"


class TypeConflicts(Step):
    """Moves the values of one resource that do not fit their columns into columns of their own.

    Args:
        spec: The resource, with its setting.
    """

    # After dlt's incremental, as the schema contract; before pages of JSON are converted to Arrow.
    placement_affinity: ClassVar[float] = 2

    def __init__(self, spec: ResourceSpec) -> None:
        super().__init__()
        self._spec = spec
        self._known: KnownTable | None = None
        self._types: dict[str, pa.DataType] = {}
        self._texts: _TextConversion | None = None

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the item, with values that do not fit in further columns."""
        if item is None or table_named_by(meta) is not None:
            return item
        known = self._begin()
        if isinstance(meta, HintsMeta):
            _keep_known_types(meta, known)
        items = items_of(item)
        if not items:
            return item
        if is_arrow(items[0]):
            return [self._admit(as_table(each)) for each in items]
        if isinstance(items[0], dict) and self._texts is not None:
            return [self._texts.convert(row) for row in items]
        return item

    def _begin(self) -> KnownTable:
        if self._known is None:
            schema = dlt.current.source_schema()
            self._known = KnownTable(schema, self._spec.table_name)
            # What is declared applies to the first load, too.
            declared = {
                self._known.key(name): {"data_type": column.data_type}
                for name, column in self._spec.columns.items()
                if column.data_type
            }
            columns = {**declared, **self._known.columns}
            self._types = {
                key: kind
                for key, column in columns.items()
                if (kind := arrow_type(column)) is not None
            }
            if self._spec.type_conflict == "text":
                self._texts = _TextConversion(schema, self._spec.table_name, columns)
        return self._known

    def _admit(self, table: pa.Table) -> pa.Table:
        known = self._begin()
        columns: dict[str, pa.ChunkedArray] = {}
        variants: dict[str, pa.ChunkedArray] = {}
        for field, column in zip(table.schema, table.columns, strict=True):
            key = known.key(field.name)
            wanted = self._types.get(key)
            # Nested columns get further fields; the destination rejects those of another type.
            is_kept = self._spec.keeps_nested and pa.types.is_nested(field.type)
            if is_kept or key.startswith("_dlt_") or pa.types.is_null(field.type):
                columns[field.name] = column
                continue
            if wanted is None:
                wanted = self._types[key] = plain_type(field.type)
            if field.type == wanted or _are_decimals(field.type, wanted):
                columns[field.name] = column
                continue
            columns[field.name] = self._split(field, column, wanted, variants)
        return pa.table(columns | variants)

    def _split(
        self,
        field: pa.Field,
        column: pa.ChunkedArray,
        wanted: pa.DataType,
        variants: dict[str, pa.ChunkedArray],
    ) -> pa.ChunkedArray:
        """Return the values that fit a column, and add the others to the variants.

        Raises:
            SchemaContractViolation: The column is a key or the cursor, whose values cannot move.
        """
        bad = list(misfit_positions(field, column, wanted))
        if not bad:
            return cast_or_nulls(field, column, wanted)
        self._require_movable(field, wanted)
        as_text = self._spec.type_conflict == "text"
        kind = pa.string() if as_text else plain_type(field.type)
        name = _VARIANT.format(name=field.name, data_type=data_type_of(kind))
        misfits = set(bad)
        fits = pa.array([position not in misfits for position in range(len(column))])
        nulls = pa.scalar(None, field.type)
        moved = pc.if_else(fits, nulls, column)
        variants[name] = cast_or_nulls(field, moved, kind)
        return cast_or_nulls(field, pc.if_else(fits, column, nulls), wanted)

    def _require_movable(self, field: pa.Field, wanted: pa.DataType) -> None:
        spec = self._spec
        known = self._begin()
        required = {*spec.primary_key, *spec.merge_key, *filter(None, [spec.cursor_field])}
        required |= {name for name, column in spec.columns.items() if column.nullable is False}
        if known.key(field.name) in {known.key(name) for name in required}:
            found = data_type_of(field.type)
            expected = data_type_of(wanted)
            raise type_conflict(spec.table_name, field.name, expected, found, required=True)


class _TextConversion:
    """Converts the values of dicts that do not fit to text, before dlt makes variants of them.

    Args:
        schema: The schema of the source.
        table: Name of the table.
        columns: Its known columns, by their names in the table.
    """

    def __init__(self, schema: Schema, table: str, columns: Mapping[str, Any]) -> None:
        self._schema = schema
        self._tables = {table: {k: c.get("data_type") for k, c in columns.items()}}
        self._table = table

    def convert(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row whose values fit their columns, or are strings."""
        return self._convert(row, (self._table,), ())

    def _convert(
        self, row: dict[str, Any], table: tuple[str, ...], path: tuple[str, ...]
    ) -> dict[str, Any]:
        return {name: self._value(value, table, (*path, name)) for name, value in row.items()}

    def _value(self, value: Any, table: tuple[str, ...], path: tuple[str, ...]) -> Any:
        types = self._types_of(table)
        key = self._schema.naming.normalize_path("__".join(path))
        if isinstance(value, dict) and key not in types:
            return self._convert(value, table, path)
        if isinstance(value, list) and key not in types:
            inner = (*table, *path)
            return [
                self._convert(item, inner, ())
                if isinstance(item, dict)
                else self._value(item, inner, ("value",))
                for item in value
            ]
        if value is None or isinstance(value, str) or types.get(key) == "json":
            # dlt may detect a timestamp in a string, which then fits as it is or becomes text.
            return value
        found = py_type_to_sc_type(type(value))
        expected = types.setdefault(key, found)
        if expected is None or expected == found:
            return value
        try:
            coerce_value(expected, found, value)
        except (ValueError, TypeError, ArithmeticError):
            return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
        return value

    def _types_of(self, table: tuple[str, ...]) -> dict[str, Any]:
        naming = self._schema.naming
        name = naming.shorten_fragments(*map(naming.normalize_tables_path, table))
        if name not in self._tables:
            columns = self._schema.tables.get(name, {}).get("columns", {})
            self._tables[name] = {key: c.get("data_type") for key, c in columns.items()}
        return self._tables[name]


def _keep_known_types(meta: HintsMeta, known: KnownTable) -> None:
    """Keep the types of known columns where a source reports others, such as reflected ones."""
    columns: Any = meta.hints.get("columns")
    if isinstance(columns, dict):
        kept: Any = {
            name: {**column, **known.columns.get(known.key(name), {}), "name": name}
            for name, column in columns.items()
        }
        # dlt reads the latter if the table has other hints already.
        meta.hints["columns"] = meta.hints["original_columns"] = kept


def _are_decimals(one: pa.DataType, other: pa.DataType) -> bool:
    """Return whether the destination compares two types: it widens decimals."""
    return bool(pa.types.is_decimal(one) and pa.types.is_decimal(other))


def handle_type_conflicts(resource: DltResource, spec: ResourceSpec) -> None:
    """Add the step to a resource that its setting requires."""
    if spec.schema_contract == "evolve" and spec.moves_conflicts:
        resource.add_step(TypeConflicts(spec))


def reject_new_variants(
    schema: Schema, spec: ResourceSpec, known_before: Mapping[str, Mapping[str, str]]
) -> None:
    """Reject the variant columns that dlt's normalizer has created.

    Args:
        schema: The schema after normalization.
        spec: A resource for which conflicts fail the load.
        known_before: Data types by column and table, at the start of the load.

    Raises:
        SchemaContractViolation: A column had values of two types.
    """
    for name, table in schema.tables.items():
        if name != spec.table_name and not name.startswith(f"{spec.table_name}__"):
            continue
        for key, column in table.get("columns", {}).items():
            if column.get("variant") and key not in known_before.get(name, {}):
                base = key.rpartition("__v_")[0]
                expected = table["columns"].get(base, {}).get("data_type")
                raise type_conflict(name, base, expected, column.get("data_type"))
