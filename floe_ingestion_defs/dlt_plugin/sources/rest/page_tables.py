"""Converts a page of JSON rows to the tables that dlt's normalizer would make of it, as Arrow.

Objects in a row become columns such as `address__city`; lists become nested tables, whose names,
row ids and links to their parents are those of `dlt.common.normalizers.json.relational`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from dlt.common.normalizers.json.helpers import get_nested_row_hash, requires_root_key
from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.schema.detections import is_iso_timestamp

from floe_ingestion_defs.dlt_plugin.hints import column_hints
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import arrow_type, cast_column

if TYPE_CHECKING:
    from dlt.common.schema import Schema

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

ROOT_ID = DataItemNormalizer.C_DLT_ROOT_ID
PARENT_ID = DataItemNormalizer.C_DLT_PARENT_ID
LIST_INDEX = DataItemNormalizer.C_DLT_LIST_IDX
_VALUE = DataItemNormalizer.C_VALUE
_EMPTY = DataItemNormalizer.EMPTY_KEY_IDENTIFIER
_ZONED = pa.timestamp("us", "UTC")
# Types to which strings are cast; a page with any other mismatch is passed to dlt.
_FROM_TEXT = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time)
# A type that no value has: pages with such a column are passed to dlt.
_UNDECIDED = pa.null()
_BY_PYTHON_TYPE = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


class NotConvertible(Exception):
    """A page has to be passed to dlt unchanged."""


class PageTable(NamedTuple):
    """The rows of a page that belong to one table.

    Attributes:
        path: The names of which the table's name is made: of the root, and of the lists.
        name: Name of the table.
        parent: Name of the parent; None for the root.
        rows: The rows.
    """

    path: tuple[str, ...]
    name: str
    parent: str | None
    rows: pa.Table


@dataclass
class _Columns:
    """The columns and the lists of the rows of one table, as they are collected."""

    arrays: dict[str, pa.Array] = field(default_factory=dict)
    lists: dict[tuple[str, ...], list[Any]] = field(default_factory=dict)


class PageConverter:
    """Converts the pages of one resource; columns keep the types that earlier pages determined.

    Args:
        spec: The resource.
        schema: The schema of its source.
        nested: Whether objects in a row become columns, and lists tables.
    """

    def __init__(self, spec: ResourceSpec, schema: Schema, *, nested: bool) -> None:
        self._spec = spec
        self._schema = schema
        self._nested = nested
        self._root = schema.naming.normalize_tables_path(spec.table_name)
        self._types: dict[str, dict[str, pa.DataType]] = {}
        self._names: dict[tuple[str, ...], str] = {}
        known = schema.tables.get(self._root)
        self.has_root_ids = spec.write_mode == "merge" or (
            known is not None and requires_root_key(schema, known, None)
        )

    def convert(self, rows: list[Any], ids: list[str], load_id: str) -> list[PageTable]:
        """Return the tables of a page, each after its parent.

        Args:
            rows: The page.
            ids: `_dlt_id` of each row.
            load_id: The load's id.

        Raises:
            NotConvertible: dlt has to normalize the page.
        """
        tables: list[PageTable] = []
        own = {"_dlt_load_id": pa.repeat(load_id, len(rows)), "_dlt_id": pa.array(ids)}
        self._add(tables, (self._root,), None, _by_column(rows), ids, ids, own)
        # Only now: a page that is passed to dlt must not have determined any types.
        for table in tables:
            known = self._types_of(table.name)
            known |= {name: kind for name, kind in _types(table.rows) if not _is_dlt_s(name)}
        return tables

    def learn(self, rows: list[Any]) -> None:
        """Record the types that dlt will give the new columns of a page that is passed to it.

        dlt normalizes the page after all others have been extracted, so its types are not known.
        """
        self._learn((self._root,), rows)

    def key(self, *names: str) -> str:
        """Return dlt's column name for a field, which includes the names of enclosing objects."""
        key = self._names.get(names)
        if key is None:
            key = self._names[names] = self._schema.naming.shorten_fragments(*self._path(names))
        return key

    def _path(self, names: tuple[str, ...]) -> tuple[str, ...]:
        naming = self._schema.naming
        return tuple(naming.normalize_path(name) if name.strip() else _EMPTY for name in names)

    def _add(
        self,
        tables: list[PageTable],
        path: tuple[str, ...],
        parent: str | None,
        columns: dict[str, list[Any]],
        ids: list[str],
        roots: list[str],
        own: dict[str, pa.Array],
    ) -> None:
        """Add a table, whose rows have the given ids, and the tables of the lists in its rows."""
        name = self._schema.naming.shorten_fragments(*path)
        if any(table.name == name for table in tables):
            raise NotConvertible
        found = _Columns()
        self._collect(found, name, columns)
        required = {*own, *(() if parent else map(self.key, self._spec.primary_key))}
        arrays = found.arrays | own
        schema = pa.schema(
            pa.field(key, array.type, nullable=key not in required or array.null_count > 0)
            for key, array in arrays.items()
        )
        rows = pa.Table.from_arrays(list(arrays.values()), schema=schema)
        tables.append(PageTable(path, name, parent, rows))
        for list_path, values in found.lists.items():
            self._add_list(tables, (*path, *list_path), name, values, ids, roots)

    def _add_list(
        self,
        tables: list[PageTable],
        path: tuple[str, ...],
        parent: str,
        values: list[Any],
        parents: list[str],
        roots: list[str],
    ) -> None:
        """Add the table of a list, given its value in each row of the parent."""
        filled = [(at, value) for at, value in enumerate(values) if value]
        if not filled:
            return
        name = self._schema.naming.shorten_fragments(*path)
        known = self._schema.tables.get(name)
        if known is not None and "parent" not in known:
            raise NotConvertible
        own_parents = [parents[at] for at, value in filled for _ in value]
        indexes = [index for _, value in filled for index in range(len(value))]
        ids = [
            get_nested_row_hash(parent_id, name, index)
            for parent_id, index in zip(own_parents, indexes, strict=True)
        ]
        own = {
            PARENT_ID: pa.array(own_parents),
            LIST_INDEX: pa.array(indexes, pa.int64()),
            "_dlt_id": pa.array(ids),
        }
        own_roots = [roots[at] for at, value in filled for _ in value]
        if self.has_root_ids:
            own[ROOT_ID] = pa.array(own_roots)
        columns = _of_items(list(chain.from_iterable(value for _, value in filled)))
        self._add(tables, path, parent, columns, ids, own_roots, own)

    def _collect(
        self,
        found: _Columns,
        table: str,
        columns: dict[str, list[Any]],
        path: tuple[str, ...] = (),
    ) -> None:
        """Add the columns and the lists of rows, or of the objects in one field of rows."""
        known = self._types_of(table)
        for name, values in columns.items():
            first = next((value for value in values if value is not None), None)
            if first is None:
                continue
            key = self.key(*path, name)
            if isinstance(first, (dict, list)) and (not self._nested or key in known):
                raise NotConvertible
            if isinstance(first, dict):
                objects = [{} if value is None else value for value in values]
                self._collect(found, table, _by_column(objects), (*path, name))
            elif isinstance(first, list):
                list_path = self._list_path(path, name)
                if list_path in found.lists or not _are_lists(values):
                    raise NotConvertible
                found.lists[list_path] = values
            elif key in found.arrays or _is_dlt_s(key):
                raise NotConvertible
            else:
                found.arrays[key] = _array(known.get(key), values, first)

    def _list_path(self, path: tuple[str, ...], name: str) -> tuple[str, ...]:
        """Return the names that a list adds to those of its parent table."""
        if not name.strip():
            raise NotConvertible
        return (*self._path(path), self._schema.naming.normalize_tables_path(name))

    def _learn(self, table: tuple[str, ...], rows: list[Any], path: tuple[str, ...] = ()) -> None:
        known = self._types_of(self._schema.naming.shorten_fragments(*table))
        for name, values in _by_column([row for row in rows if isinstance(row, dict)]).items():
            key = self.key(*path, name)
            if not self._nested and any(isinstance(value, (dict, list)) for value in values):
                known.setdefault(key, _UNDECIDED)
            self._learn(
                table, [value for value in values if isinstance(value, dict)], (*path, name)
            )
            if name.strip():
                lists = (value for value in values if isinstance(value, list))
                items = [_as_row(item) for item in chain.from_iterable(lists)]
                if items:
                    self._learn((*table, *self._list_path(path, name)), items)
            first = next((v for v in values if not isinstance(v, (dict, list, NoneType))), None)
            if first is not None:
                known.setdefault(key, _type_by_first_value(first))

    def _types_of(self, table: str) -> dict[str, pa.DataType]:
        """Return the types of a table's columns, which at first are those in dlt's schema."""
        if table not in self._types:
            columns = dict(self._schema.tables.get(table, {}).get("columns", {}))
            if table == self._root:
                # They become part of dlt's schema with the first page only.
                declared = column_hints(self._spec)
                columns |= {self.key(name): column for name, column in declared.items()}
            self._types[table] = {
                # A string is not JSON: dlt creates JSON only from nested values.
                name: _UNDECIDED if column.get("data_type") == "json" else kind
                for name, column in columns.items()
                if (kind := arrow_type(column)) is not None and not _is_dlt_s(name)
            }
        return self._types[table]


def _is_dlt_s(name: str) -> bool:
    return name.startswith("_dlt_")


def _types(rows: pa.Table) -> zip[tuple[str, pa.DataType]]:
    return zip(rows.schema.names, rows.schema.types, strict=True)


def _array(wanted: pa.DataType | None, values: list[Any], first: Any) -> pa.Array:
    """Return the values of a column in its type, which the first value may determine."""
    # Always inferred first: Arrow would truncate 3.5 to 3 if the requested type is integer.
    found = pa.array(values)
    wanted = wanted or _type_by_first_value(first)
    if found.type == wanted:
        return found
    if pa.types.is_string(found.type) and any(matches(wanted) for matches in _FROM_TEXT):
        texts = pa.chunked_array([found])
        return cast_column(pa.field("", found.type), texts, wanted).combine_chunks()
    if pa.types.is_integer(found.type) and pa.types.is_floating(wanted):
        return found.cast(wanted)
    raise NotConvertible


def _type_by_first_value(first: Any) -> pa.DataType:
    """Return the type of a new column, which dlt infers from its first value."""
    if isinstance(first, str) and is_iso_timestamp(str, first):
        return _ZONED
    return _BY_PYTHON_TYPE.get(type(first), _UNDECIDED)


def _are_lists(values: list[Any]) -> bool:
    return set(map(type, values)) <= {list, NoneType}


def _of_items(items: list[Any]) -> dict[str, list[Any]]:
    """Return the columns of the items of lists."""
    kinds = set(map(type, items))
    if kinds == {dict}:
        return _by_column(items)
    if not kinds & {dict, list}:
        return {_VALUE: items}
    return _by_column([_as_row(item) for item in items])


def _as_row(item: Any) -> dict[str, Any]:
    """Return an item of a list as the row that dlt makes of it."""
    if isinstance(item, dict):
        return item
    return {"list": item} if isinstance(item, list) else {_VALUE: item}


def _by_column(rows: list[Any]) -> dict[str, list[Any]]:
    """Return the values of each field of the rows; None where a row does not have the field."""
    if set(map(type, rows)) - {dict}:
        raise NotConvertible
    if not rows:
        return {}
    first = rows[0]
    if len(set(map(len, rows))) == 1:
        try:
            # Works for most pages, and is twice as fast.
            return {name: list(map(itemgetter(name), rows)) for name in first}
        except KeyError:
            pass
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name) for row in rows] for name in names}
