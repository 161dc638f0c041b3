"""Turns pages of JSON rows into Arrow tables, which dlt need not normalize row by row.

Objects in a row become columns of their own, `address__city`, as dlt does it. A page with lists, or
with a value that its column's type does not take as it is, goes dlt's own way as it came: lists
become tables and odd values variant columns. Both ways give a table the same columns, dlt's
`_dlt_id` and `_dlt_load_id` among them.
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
# Text that is cast as a whole; anything else in the page sends it dlt's way.
_FROM_TEXT = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time)


# A type that no value has: pages with the column go dlt's way.
_UNDECIDED = pa.null()
_BY_PYTHON_TYPE = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


class _NotFlat(Exception):
    """A page has to go dlt's own way."""


class PagesToArrow(ItemTransform[Any]):
    """The last step of a resource: pages of dicts become Arrow tables where they can.

    Args:
        spec: The resource.
        flatten: Whether objects in a row are made into columns.
    """

    # After the cursor and the contract, which go through dicts.
    placement_affinity: ClassVar[float] = 3

    def __init__(self, spec: ResourceSpec, *, flatten: bool) -> None:
        super().__init__(lambda item: item)
        self._spec = spec
        self._flatten = flatten
        self._schema: Schema | None = None
        self._types: dict[str, pa.DataType] = {}
        self._names: dict[tuple[str, ...], str] = {}

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return a page as an Arrow table, or as it came."""
        if meta is not None or not isinstance(item, list) or not item:
            return item
        if self._schema is None:
            self._schema = dlt.current.source_schema()
            known = self._schema.tables.get(self._spec.table_name, {}).get("columns", {})
            for name, column in known.items():
                if (kind := arrow_type(column)) is not None and not name.startswith("_dlt_"):
                    # A text is not yet JSON, which dlt makes of nested values only.
                    self._types[name] = _UNDECIDED if column["data_type"] == "json" else kind
        try:
            return self._table(item)
        except (_NotFlat, pa.ArrowException, ValueError, OverflowError, KeyError):
            self._learn(item)
            return item

    def _table(self, rows: list[Any]) -> pa.Table:
        arrays: dict[str, pa.Array] = {}
        self._collect(arrays, rows)
        # Only now: a page that goes dlt's way must not have decided anything by itself.
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
        """Add the columns of the rows, which are those of a page or the objects in one field."""
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
        """Note the types that dlt will give new columns of a page that goes its way.

        dlt normalizes the page after all others were extracted, so it cannot be asked.
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
        """Give the column's name that dlt makes of a field's, after those of objects around it."""
        key = self._names.get(names)
        if key is None and self._schema is not None:
            naming = self._schema.naming
            parts = (naming.normalize_path(name) if name.strip() else _EMPTY for name in names)
            key = self._names[names] = naming.shorten_fragments(*parts)
        return key or names[-1]

    def _array(self, key: str, values: list[Any], first: Any) -> pa.Array:
        """Give the values of a column in its type; the first of them is there for the type."""
        # Always inferred first: Arrow would cut 3.5 down to 3 where it is told to expect integers.
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
        # As dlt does it: the id of a row that is found again by its key stays the same.
        key = list(self._spec.primary_key)
        own = {self._key(name): name for name in rows[0]}
        return [get_row_hash({name: row[own[name]] for name in key}, key) for row in rows]


def _type_by_first_value(first: Any) -> pa.DataType:
    """Give the type of a new column; dlt goes by its first value."""
    if isinstance(first, str) and is_iso_timestamp(str, first):
        return _ZONED
    return _BY_PYTHON_TYPE.get(type(first), _UNDECIDED)


def _columns(rows: list[Any]) -> dict[str, list[Any]]:
    """Give the values of each field of the rows; None where a row lacks it."""
    if not all(isinstance(row, dict) for row in rows):
        raise _NotFlat
    if not rows:
        return {}
    first = rows[0]
    if all(len(row) == len(first) for row in rows):
        try:
            # Of all rows of most pages, and twice as fast.
            return {name: list(map(itemgetter(name), rows)) for name in first}
        except KeyError:
            pass
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name) for row in rows] for name in names}


def read_flat_pages_as_arrow(resource: DltResource, spec: ResourceSpec) -> None:
    """Let a resource's flat pages become Arrow tables.

    Slowly changing dimensions are left out: their row ids say whether a row has changed.
    """
    if spec.merge_strategy == "scd2":
        return
    resource.apply_hints(columns={"_dlt_load_id": dlt_load_id_column(), "_dlt_id": dlt_id_column()})
    # How deep objects are taken apart, and what a contract has to say of what is in them, is dlt's.
    flatten = resource.max_table_nesting is None and spec.schema_contract == "evolve"
    resource.add_step(PagesToArrow(spec, flatten=flatten))
