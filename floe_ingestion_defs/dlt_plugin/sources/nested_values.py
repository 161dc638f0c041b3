"""Converts rows to Arrow tables whose nested values stay structs, lists and maps.

dlt would make columns and tables of the nested values in rows that are dicts. Here such rows become
Arrow tables before the contract judges them, so that both kinds of rows are treated in one way.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import dlt
import pyarrow as pa
from dlt.common.schema.detections import is_iso_timestamp

from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    PipelineConfigurationError,
    SourceReadError,
)
from floe_ingestion_defs.dlt_plugin.hints import column_hints
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import REJECTED_SUFFIX
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import (
    NESTED_ADVICE,
    ColumnTypeMismatch,
    cast_column,
)
from floe_ingestion_defs.dlt_plugin.sources.files.exact_json import as_json
from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes
from floe_ingestion_defs.dlt_plugin.sources.nested_types import in_utc
from floe_ingestion_defs.dlt_plugin.steps import Step, as_table, is_arrow, items_of, table_named_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_NOT_CONVERTED = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError)
_ZONED = pa.timestamp("us", "UTC")
_ADVICE = f"correct the source, or {NESTED_ADVICE}"


class NestedValues(Step):
    """Converts the rows of one resource, dicts or Arrow tables.

    Args:
        spec: The resource.
    """

    # After dlt's incremental, which processes dicts, and before the contract.
    placement_affinity: ClassVar[float] = 1.75

    def __init__(self, spec: ResourceSpec) -> None:
        super().__init__()
        self._spec = spec
        self._types: dict[str, KnownTypes] = {}

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the item as Arrow tables.

        Raises:
            SourceReadError: The values of a column, or of a field inside of it, have several types.
        """
        table = table_named_by(meta) or self._spec.table_name
        items = items_of(item)
        if not items or table.endswith(REJECTED_SUFFIX):
            return item
        if isinstance(items[0], dict):
            types = self._types_of(table)
            return [self._typed(each, types) for each in self._tables(items, types)]
        if is_arrow(items[0]):
            return [self._typed(as_table(each), self._types_of(table)) for each in items]
        return item

    def _types_of(self, table: str) -> KnownTypes:
        if table not in self._types:
            schema = dlt.current.source_schema()
            known = schema.tables.get(schema.naming.normalize_tables_path(table), {})
            self._types[table] = KnownTypes(
                column_hints(self._spec),
                known.get("columns", {}),
                schema.naming,
                lenient=self._spec.schema_contract != "evolve" or self._spec.moves_conflicts,
                nested=True,
            )
        return self._types[table]

    def _typed(self, table: pa.Table, types: KnownTypes) -> pa.Table:
        try:
            return types.conform(table)
        except ColumnTypeMismatch as mismatch:
            msg = f"table {self._spec.table_name}: {mismatch}; {_ADVICE}"
        raise SourceReadError(msg)

    def _tables(self, rows: list[dict[str, Any]], types: KnownTypes) -> Iterator[pa.Table]:
        """Yield rows as one table, or as one each if the contract has to judge their types."""
        try:
            yield _as_table(rows, types)
        except _SeveralTypes as several:
            if not types.lenient or len(rows) == 1:
                msg = (
                    f"table {self._spec.table_name}: the values of column {several.path!r} have "
                    f"several types; {_ADVICE}"
                )
                raise SourceReadError(msg) from None
            for row in rows:
                yield from self._tables([row], types)


class _SeveralTypes(Exception):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def _as_table(rows: list[dict[str, Any]], types: KnownTypes) -> pa.Table:
    names = dict.fromkeys(chain.from_iterable(rows))
    known = types.of(names)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table(
        {name: _as_array(name, values, known.get(name)) for name, values in columns.items()}
    )


def _as_array(name: str, values: list[Any], known: pa.DataType | None) -> pa.ChunkedArray:
    if known == pa.string() and any(isinstance(value, (dict, list)) for value in values):
        # It is declared as JSON, or the table has it as text.
        values = [value if isinstance(value, str) else as_json(value) for value in values]
    try:
        found = pa.chunked_array([pa.array(values)])
    except _NOT_CONVERTED:
        raise _SeveralTypes(_path_of_several(name, values)) from None
    wanted = in_utc(found.type)
    first = next((value for value in values if value is not None), None)
    # As dlt decides by the first value of a column.
    if known is None and isinstance(first, str) and is_iso_timestamp(str, first):
        wanted = _ZONED
    if wanted == found.type or pa.types.is_null(wanted):
        return found
    try:
        return cast_column(pa.field(name, found.type), found, wanted)
    except ColumnTypeMismatch:
        return found


def _path_of_several(path: str, values: list[Any]) -> str:
    """Return the path of the first field whose values have several types."""
    values = [value for value in values if value is not None]
    if all(isinstance(value, dict) for value in values):
        inner = {
            f"{path}.{name}": [value.get(name) for value in values]
            for name in dict.fromkeys(chain.from_iterable(values))
        }
    elif all(isinstance(value, list) for value in values):
        inner = {f"{path}.element": list(chain.from_iterable(values))}
    else:
        return path
    for name, field in inner.items():
        try:
            pa.array(field)
        except _NOT_CONVERTED:
            return _path_of_several(name, field)
    return path


def keep_nested_values(resource: DltResource, spec: ResourceSpec) -> None:
    """Add the conversion to a resource.

    Raises:
        PipelineConfigurationError: The rows of the resource name their tables.
    """
    if callable(resource.table_name):
        msg = (
            f"nested of resource {spec.name!r} is 'native', but its rows name their tables, which "
            "is possible for rows that dlt normalizes; remove nested"
        )
        raise PipelineConfigurationError(msg)
    resource.add_step(NestedValues(spec))
