"""The tables that the rows of a resource name, besides the resource's own table.

A resource can name a table per row (`table_name=lambda row: …`) or per item
(`dlt.mark.with_table_name`), as dlt's source of GitHub's events does. dlt's schema remembers which
resource each of its tables is from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import dlt
from dlt.extract.items import TableNameMeta
from dlt.extract.items_transform import ItemTransform

from floe_ingestion_defs.dlt_plugin.schema_contract.contract import REJECTED_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dlt.common.schema import Schema
    from dlt.extract import DltResource
    from pyiceberg.catalog import Catalog

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec


class QuarantinedRow(dict[str, Any]):
    """A row of a table of rejected rows, which a resource's own function must not name."""


@dataclass(frozen=True)
class TableOfRow:
    """Names the table that a row goes to.

    Attributes:
        own: The resource's table.
        named: The resource's own function.
    """

    own: str
    named: Callable[[Any], str]

    def __call__(self, row: Any) -> str:
        """Return the name of the table."""
        if isinstance(row, QuarantinedRow):
            return self.own + REJECTED_SUFFIX
        return self.named(row)


class TablesNamedByItems(ItemTransform[Any]):
    """A step that makes a table known when an item names it with `dlt.mark.with_table_name`.

    dlt 1.31 does not add the columns of such a table where the resource has a `table_name`.
    """

    # After the schema contract, which may accept no row of a table.
    placement_affinity: ClassVar[float] = 2.5

    def __init__(self) -> None:
        super().__init__(lambda item: item)
        self._known: set[str] = set()

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return an item, with hints of its table where it is the first of it."""
        if not isinstance(meta, TableNameMeta) or meta.table_name in self._known:
            return item
        self._known.add(meta.table_name)
        hints = dlt.mark.make_hints(table_name=meta.table_name)
        return dlt.mark.with_hints(item, hints, create_table_variant=True)


def make_named_tables_known(resource: DltResource) -> None:
    """Add the step to a resource whose rows do not name their tables themselves."""
    if not callable(resource.table_name):
        resource.add_step(TablesNamedByItems())


def tables_named_by_rows(schema: Schema, spec: ResourceSpec) -> tuple[str, ...]:
    """Return the tables with rows that a resource's rows named, without those nested in them.

    Args:
        schema: dlt's schema of the source.
        spec: The resource.
    """
    from dlt.common.schema.utils import has_table_seen_data

    own = schema.naming.normalize_tables_path(spec.table_name)
    return tuple(
        sorted(
            name
            for name, table in schema.tables.items()
            if table.get("resource") == spec.name
            and not table.get("parent")
            and name != own
            and not name.endswith(REJECTED_SUFFIX)
            and has_table_seen_data(table)
        )
    )


def read_named_tables(
    catalog: Catalog, source_name: str, specs: Iterable[ResourceSpec]
) -> dict[str, tuple[str, ...]]:
    """Return the same by resource, as `namespace.table`, from the schema of the last load.

    Args:
        catalog: The catalog that the source is loaded into.
        source_name: Name of the source, which its schema has.
        specs: Resources of the source.
    """
    from dlt.common.schema import Schema

    from floe_ingestion_defs.destinations import Dataset

    found: dict[str, tuple[str, ...]] = {}
    for spec in specs:
        dataset = Dataset(catalog, spec.namespace)
        view = dataset.log.read()
        version = None if view is None else view.newest_schema_hash(source_name)
        table = None if version is None else dataset.load_table("_dlt_version")
        if table is None:
            continue
        selected = table.scan(f"version_hash = '{version}'", ("schema",)).to_arrow()
        for text in selected["schema"].to_pylist()[:1]:
            names = tables_named_by_rows(Schema.from_dict(json.loads(text)), spec)
            found[spec.name] = tuple(f"{spec.namespace}.{name}" for name in names)
    return found
