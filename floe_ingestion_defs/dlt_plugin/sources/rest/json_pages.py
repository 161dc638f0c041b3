"""Converts pages of JSON rows to Arrow tables, which dlt does not have to normalize row by row.

Objects in a row become separate columns such as `address__city`, as in dlt. A page with lists, or
with a value that does not match its column's type, is passed to dlt unchanged: lists become tables,
and values of another type become variant columns. Both ways produce the same columns in a table,
including dlt's `_dlt_id` and `_dlt_load_id`.
"""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar

import dlt
import pyarrow as pa
from dlt.common.normalizers.json.helpers import get_row_hash
from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.schema.detections import is_iso_timestamp
from dlt.common.schema.utils import dlt_id_column, dlt_load_id_column
from dlt.common.utils import many_uniq_ids_base64
from dlt.extract.items_transform import ItemTransform

from floe_ingestion_defs.dlt_plugin.sources.arrow_types import (
    arrow_type,
    cast_column,
)

if TYPE_CHECKING:
    from dlt.common.schema import Schema
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_ID_BYTES = 10
_EMPTY = DataItemNormalizer.EMPTY_KEY_IDENTIFIER
_ZONED = pa.timestamp("us", "UTC")
# Types to which strings are cast; a page with any other mismatch is passed to dlt.
_FROM_TEXT = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time)


# A type that no value has: pages with such a column are passed to dlt.
_UNDECIDED = pa.null()
_BY_PYTHON_TYPE = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


class _NotFlat(Exception):
    """A page has to be passed to dlt unchanged."""


class PagesToArrow(ItemTransform[Any]):
    """The last step of a resource, which converts pages of dicts to Arrow tables if possible.

    Args:
        spec: The resource.
        flatten: Whether objects in a row become columns.
    """

    # After the cursor and the contract, which process dicts.
    placement_affinity: ClassVar[float] = 3

    def __init__(self, spec: ResourceSpec, *, flatten: bool) -> None:
        super().__init__(lambda item: item)
        self._spec = spec
        self._flatten = flatten
        self._schema: Schema | None = None
        self._types: dict[str, pa.DataType] = {}
        self._names: dict[tuple[str, ...], str] = {}

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return a page as an Arrow table, or unchanged."""
        if meta is not None or not isinstance(item, list) or not item:
            return item
        if self._schema is None:
            self._schema = dlt.current.source_schema()
            known = self._schema.tables.get(self._spec.table_name, {}).get("columns", {})
            for name, column in known.items():
                if (kind := arrow_type(column)) is not None and not name.startswith("_dlt_"):
                    # A string is not JSON: dlt creates JSON only from nested values.
                    self._types[name] = _UNDECIDED if column["data_type"] == "json" else kind
        try:
            return self._table(item)
        except (_NotFlat, pa.ArrowException, ValueError, OverflowError, KeyError):
            self._learn(item)
            return item

    def _table(self, rows: list[Any]) -> pa.Table:
        arrays: dict[str, pa.Array] = {}
        self._collect(arrays, rows)
        # Only now: a page that is passed to dlt must not have determined any types.
        self._types |= {key: array.type for key, array in arrays.items()}
        arrays["_dlt_load_id"] = pa.repeat(dlt.current.load_package_state()["load_id"], len(rows))
        arrays["_dlt_id"] = pa.array(self._row_ids(rows))
        required = {"_dlt_id", "_dlt_load_id", *map(self._key, self._spec.primary_key)}
        fields = [
            pa.field(key, array.type, nullable=key not in required or array.null_count > 0)
            for key, array in arrays.items()
        ]
        return pa.Table.from_arrays(list(arrays.values()), schema=pa.schema(fields))

    def _collect(
        self, arrays: dict[str, pa.Array], rows: list[Any], path: tuple[str, ...] = ()
    ) -> None:
        """Add the columns of rows, which are those of a page or the objects in one field."""
        for name, values in _columns(rows).items():
            key = self._key(*path, name)
            first = next((value for value in values if value is not None), None)
            if first is None:
                continue
            if isinstance(first, dict):
                if not self._flatten or key in self._types:
                    raise _NotFlat
                objects = [{} if value is None else value for value in values]
                self._collect(arrays, objects, (*path, name))
                continue
            if key in arrays or key.startswith("_dlt_"):
                raise _NotFlat
            arrays[key] = self._array(key, values, first)

    def _learn(self, rows: list[Any], path: tuple[str, ...] = ()) -> None:
        """Record the types that dlt will give the new columns of a page that is passed to it.

        dlt normalizes the page after all others have been extracted, so its types are not known.
        """
        for name, values in _columns([row for row in rows if isinstance(row, dict)]).items():
            key = self._key(*path, name)
            if not self._flatten and any(isinstance(value, (dict, list)) for value in values):
                self._types.setdefault(key, _UNDECIDED)
            self._learn([value for value in values if isinstance(value, dict)], (*path, name))
            first = next((v for v in values if not isinstance(v, (dict, list, NoneType))), None)
            if first is not None:
                self._types.setdefault(key, _type_by_first_value(first))

    def _key(self, *names: str) -> str:
        """Return dlt's column name for a field, which includes the names of enclosing objects."""
        key = self._names.get(names)
        if key is None and self._schema is not None:
            naming = self._schema.naming
            parts = (naming.normalize_path(name) if name.strip() else _EMPTY for name in names)
            key = self._names[names] = naming.shorten_fragments(*parts)
        return key or names[-1]

    def _array(self, key: str, values: list[Any], first: Any) -> pa.Array:
        """Return the values of a column in its type, which the first value may determine."""
        # Always inferred first: Arrow would truncate 3.5 to 3 if the requested type is integer.
        found = pa.array(values)
        wanted = self._types.get(key) or _type_by_first_value(first)
        if found.type == wanted:
            return found
        if pa.types.is_string(found.type) and any(matches(wanted) for matches in _FROM_TEXT):
            texts = pa.chunked_array([found])
            return cast_column(pa.field(key, found.type), texts, wanted).combine_chunks()
        if pa.types.is_integer(found.type) and pa.types.is_floating(wanted):
            return found.cast(wanted)
        raise _NotFlat

    def _row_ids(self, rows: list[dict[str, Any]]) -> list[str]:
        if self._spec.merge_strategy != "upsert":
            return many_uniq_ids_base64(len(rows), _ID_BYTES)
        # As in dlt: the id of a row with the same key stays the same.
        key = list(self._spec.primary_key)
        own = {self._key(name): name for name in rows[0]}
        return [get_row_hash({name: row[own[name]] for name in key}, key) for row in rows]


def _type_by_first_value(first: Any) -> pa.DataType:
    """Return the type of a new column, which dlt infers from its first value."""
    if isinstance(first, str) and is_iso_timestamp(str, first):
        return _ZONED
    return _BY_PYTHON_TYPE.get(type(first), _UNDECIDED)


def _columns(rows: list[Any]) -> dict[str, list[Any]]:
    """Return the values of each field of the rows; None where a row does not have the field."""
    if not all(isinstance(row, dict) for row in rows):
        raise _NotFlat
    if not rows:
        return {}
    first = rows[0]
    if all(len(row) == len(first) for row in rows):
        try:
            # Works for most pages, and is twice as fast.
            return {name: list(map(itemgetter(name), rows)) for name in first}
        except KeyError:
            pass
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name) for row in rows] for name in names}


def read_flat_pages_as_arrow(resource: DltResource, spec: ResourceSpec) -> None:
    """Add the conversion of flat pages to Arrow tables to a resource.

    Slowly changing dimensions are excluded: their row ids indicate whether a row has changed.
    """
    if spec.merge_strategy == "scd2":
        return
    resource.apply_hints(columns={"_dlt_load_id": dlt_load_id_column(), "_dlt_id": dlt_id_column()})
    # dlt handles the nesting depth of objects, and contracts of the values in them.
    flatten = resource.max_table_nesting is None and spec.schema_contract == "evolve"
    resource.add_step(PagesToArrow(spec, flatten=flatten))
