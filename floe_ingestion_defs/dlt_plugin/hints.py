"""Applies a `ResourceSpec` to a dlt resource as hints, in the same way for every source type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from floe_ingestion_defs.dlt_plugin.config.names import as_identifier
from floe_ingestion_defs.dlt_plugin.named_tables import TableOfRow
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import LET_PASS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dlt.common.schema.typing import TColumnSchema
    from dlt.extract import DltResource, DltSource

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_TRANSFORM = re.compile(
    r'(?P<transform>\w+)\(\s*(?:(?P<param>\d+)\s*,\s*)?(?P<column>\w+|"[^"]+")\s*\)'
)


# Source types whose resources can have settings of their own, which apply where the configuration
# has none.
_HAVE_OWN_SETTINGS = frozenset({"rest_api", "python"})


def apply_spec(resource: DltResource, spec: ResourceSpec, source_type: str = "") -> None:
    """Set table, write disposition, keys, columns, contract and partitions of a resource.

    Args:
        resource: The resource.
        spec: How it is loaded.
        source_type: Type of its source; in some types, resources have settings of their own.
    """
    own = source_type in _HAVE_OWN_SETTINGS
    disposition_given = not own or not spec.given.isdisjoint({"write_mode", "merge_strategy"})
    contract_given = not own or "schema_contract" in spec.given
    # Rows of a database are read in its own types, for the contract to judge.
    columns = None if _is_judged_in_its_own_types(spec, source_type) else column_hints(spec)
    named = resource.table_name
    resource.apply_hints(
        # Rows that name their tables keep these names.
        table_name=TableOfRow(spec.table_name, named) if callable(named) else spec.table_name,
        write_disposition=_write_disposition(spec) if disposition_given else None,
        primary_key=list(spec.primary_key) or None,
        merge_key=list(spec.merge_key) or None,
        columns=columns or None,
        schema_contract=LET_PASS if contract_given else None,
        additional_table_hints=_table_hints(spec),
    )


def _is_judged_in_its_own_types(spec: ResourceSpec, source_type: str) -> bool:
    return source_type == "sql_database" and spec.schema_contract != "evolve"


def column_hints(spec: ResourceSpec) -> dict[str, TColumnSchema]:
    """Return the declared columns in dlt's format."""
    return {
        name: cast("TColumnSchema", column.hints(name)) for name, column in spec.columns.items()
    }


def _write_disposition(spec: ResourceSpec) -> Any:
    if spec.write_mode != "merge":
        return spec.write_mode
    return {"disposition": "merge", "strategy": spec.merge_strategy}


def _table_hints(spec: ResourceSpec) -> dict[str, Any] | None:
    from dlt.destinations.impl.filesystem.iceberg_adapter import (
        PARTITION_HINT,
        TABLE_PROPERTIES_HINT,
        PartitionSpec,
    )

    hints: dict[str, Any] = {}
    if spec.partition_by:
        partitions = []
        for text in spec.partition_by:
            found = _TRANSFORM.fullmatch(text.strip())
            if found is None:
                partition = PartitionSpec(text.strip().strip('"'))
            else:
                param = None if found["param"] is None else int(found["param"])
                partition = PartitionSpec(
                    found["column"].strip('"'),
                    found["transform"],
                    param,
                )
            partitions.append(partition.to_dict())
        hints[PARTITION_HINT] = partitions
    if spec.merge_mode:
        hints[TABLE_PROPERTIES_HINT] = {"write.merge.mode": spec.merge_mode}
    if spec.description:
        hints["description"] = spec.description
    return hints or None


def assemble_source(
    source: IngestionSourceConfig,
    resources: Iterable[DltResource],
    specs: Iterable[ResourceSpec] = (),
) -> DltSource:
    """Return one dlt source with resources; its schema and its state have the source's name.

    Args:
        source: The source.
        resources: Its resources.
        specs: The resources whose declared columns apply as a contract from the first load on:
            dlt itself accepts any column in the first load of a table.
    """
    from dlt.common.schema import Schema
    from dlt.common.schema.utils import new_table
    from dlt.extract import DltSource

    schema = Schema(source.name)
    for spec in specs:
        if spec.columns and spec.schema_contract != "evolve":
            schema.update_table(new_table(spec.table_name, columns=_complete_columns(spec)))
    return DltSource(schema, source.name, list(resources))


def _complete_columns(spec: ResourceSpec) -> list[TColumnSchema]:
    """Return the declared columns with all properties that dlt compares under a contract."""
    key = {as_identifier(name) for name in spec.primary_key}
    columns = list(column_hints(spec).values())
    for column in columns:
        column.setdefault("nullable", as_identifier(str(column["name"])) not in key)
    return columns


def declare_resources(specs: Sequence[ResourceSpec]) -> list[DltResource]:
    """Return resources with their names and hints, but without data."""
    import dlt

    resources = []
    for spec in specs:
        resource = dlt.resource([], name=spec.name)
        apply_spec(resource, spec)
        resources.append(resource)
    return resources
