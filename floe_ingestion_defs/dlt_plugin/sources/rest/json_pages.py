"""The step that converts pages of JSON rows to Arrow, which dlt need not normalize row by row.

A page with a value that does not match its column's type is passed to dlt unchanged, which makes a
variant column of it. Both ways produce the same tables, including dlt's own columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import dlt
import pyarrow as pa
from dlt.common.normalizers.json.helpers import get_row_hash
from dlt.common.schema.utils import dlt_id_column, dlt_load_id_column
from dlt.common.utils import many_uniq_ids_base64

from floe_ingestion_defs.dlt_plugin.sources.rest.page_tables import (
    LIST_INDEX,
    PARENT_ID,
    ROOT_ID,
    NotConvertible,
    PageConverter,
    PageTable,
)
from floe_ingestion_defs.dlt_plugin.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.common.schema.typing import TTableSchemaColumns
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_ID_BYTES = 10


class PagesToArrow(Step):
    """The last step of a resource, which converts pages of dicts to Arrow tables if possible.

    Args:
        spec: The resource.
        nested: Whether objects in a row become columns, and lists tables.
    """

    # After the cursor and the contract, which process dicts.
    placement_affinity: ClassVar[float] = 3

    def __init__(self, spec: ResourceSpec, *, nested: bool) -> None:
        super().__init__()
        self._spec = spec
        self._nested = nested
        self._converter: PageConverter | None = None
        self._described: set[str] = set()

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return a page as Arrow tables, or unchanged."""
        if meta is not None or not isinstance(item, list) or not item:
            return item
        if self._converter is None:
            schema = dlt.current.source_schema()
            self._converter = PageConverter(self._spec, schema, nested=self._nested)
        converter = self._converter
        try:
            ids = self._row_ids(item, converter)
            load_id = dlt.current.load_package_state()["load_id"]
            root, *nested = converter.convert(item, ids, load_id)
        except (NotConvertible, pa.ArrowException, ValueError, OverflowError, KeyError):
            converter.learn(item)
            return item
        return self._emit(root, nested) if nested else root.rows

    def _emit(self, root: PageTable, nested: list[PageTable]) -> Iterator[Any]:
        yield root.rows
        for table in nested:
            if table.name not in self._described:
                _describe(table)
            yield dlt.mark.with_table_name(table.rows, table.name)
            if table.name not in self._described:
                self._described.add(table.name)
                tables: dict[str, Any] = dlt.current.source_schema().tables
                tables[table.name] = _NestedTable(tables[table.name], resource=self._spec.name)

    def _row_ids(self, rows: list[dict[str, Any]], converter: PageConverter) -> list[str]:
        if self._spec.merge_strategy != "upsert":
            return many_uniq_ids_base64(len(rows), _ID_BYTES)
        # As in dlt: the id of a row with the same key stays the same.
        key = list(self._spec.primary_key)
        own = {converter.key(name): name for name in rows[0]}
        return [get_row_hash({name: row[own[name]] for name in key}, key) for row in rows]


class _NestedTable(dict[str, Any]):
    """A nested table of dlt's schema, which has no resource, but tells it where it is required.

    dlt's metrics of an extraction look up the resource of each table that has rows by then.
    """

    def __init__(self, table: Any, resource: str) -> None:
        super().__init__(table)
        self._resource = resource

    def __missing__(self, key: str) -> Any:
        if key == "resource":
            return self._resource
        raise KeyError(key)


def _describe(table: PageTable) -> None:
    """Make a nested table known to the resource that is being extracted."""
    hints = dlt.mark.make_hints(
        table_name=table.name,
        parent_table_name=table.parent,
        columns=_nested_columns(ROOT_ID in table.rows.schema.names),
    )
    # `apply_hints` would take over the hints of the root: its keys, its cursor, its columns.
    dlt.current.resource()._set_hints(hints, create_table_variant=True)  # noqa: SLF001


def _nested_columns(has_root_ids: bool) -> TTableSchemaColumns:
    """Return the hints that dlt gives its own columns of a nested table."""
    columns: TTableSchemaColumns = {
        "_dlt_id": dlt_id_column(),
        PARENT_ID: {"name": PARENT_ID, "data_type": "text", "nullable": False, "parent_key": True},
        LIST_INDEX: {"name": LIST_INDEX, "data_type": "bigint", "nullable": False},
    }
    if has_root_ids:
        columns[ROOT_ID] = {
            "name": ROOT_ID, "data_type": "text", "nullable": False, "root_key": True
        }  # fmt: skip
    return columns


def read_pages_as_arrow(resource: DltResource, spec: ResourceSpec) -> None:
    """Add the conversion of pages to Arrow tables to a resource.

    Slowly changing dimensions are excluded: their row ids indicate whether a row has changed.
    """
    if spec.merge_strategy == "scd2":
        return
    resource.apply_hints(columns={"_dlt_load_id": dlt_load_id_column(), "_dlt_id": dlt_id_column()})
    # dlt handles the nesting depth, hints of nested tables, and contracts of nested values.
    nested = (
        resource.max_table_nesting is None
        and not resource.nested_hints
        and spec.schema_contract == "evolve"
    )
    resource.add_step(PagesToArrow(spec, nested=nested))
