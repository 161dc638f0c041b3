"""The tables that the rows of a resource name, besides the resource's own table.

A resource can name a table per row (`table_name=lambda row: …`) or per item
(`dlt.mark.with_table_name`), as dlt's source of GitHub's events does. dlt's schema remembers which
resource each of its tables is from.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, cast

import dlt
from dlt.extract.items import TableNameMeta

from floe_ingestion_defs.dlt_plugin.config.names import as_identifier
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import REJECTED_SUFFIX
from floe_ingestion_defs.dlt_plugin.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dlt.common.schema.typing import TTableSchema
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


class TablesNamedByItems(Step):
    """A step that makes a table known when an item names it with `dlt.mark.with_table_name`.

    dlt 1.31 does not add the columns of such a table where the resource has a `table_name`.
    """

    # After the schema contract, which may accept no row of a table.
    placement_affinity: ClassVar[float] = 2.5

    def __init__(self) -> None:
        super().__init__()
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


def tables_named_by_rows(tables: Mapping[str, Any], spec: ResourceSpec) -> tuple[str, ...]:
    """Return the tables with rows that a resource's rows named, without those nested in them.

    Args:
        tables: The tables of the source's schema, as dlt stores them.
        spec: The resource.
    """
    from dlt.common.schema.utils import has_table_seen_data

    return tuple(
        sorted(
            name
            for name, table in tables.items()
            if table.get("resource") == spec.name
            and not table.get("parent")
            and name != as_identifier(spec.table_name)
            and not name.endswith(REJECTED_SUFFIX)
            and has_table_seen_data(cast("TTableSchema", table))
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
    from floe_ingestion_defs.destinations import Dataset, StoredSchemas

    found: dict[str, tuple[str, ...]] = {}
    for namespace, group in groupby(specs, lambda spec: spec.namespace):
        dataset = Dataset(catalog, namespace)
        view = dataset.log.read()
        tables = {} if view is None else StoredSchemas(dataset, view).tables(source_name)
        for spec in group:
            names = tables_named_by_rows(tables, spec)
            found[spec.name] = tuple(f"{namespace}.{name}" for name in names)
    return found
