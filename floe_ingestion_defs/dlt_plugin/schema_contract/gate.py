"""Accepts the rows that match the schema contract; rejects, counts and optionally stores the rest.

This is the last step of every resource with a contract other than `evolve`. It treats dicts and
Arrow tables in the same way. Rejected rows can be stored in a separate table, `{table}__rejected`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

import dlt
import pyarrow as pa
from dlt.extract.hints import HintsMeta
from dlt.extract.items_transform import ItemTransform

from floe_ingestion_defs.destinations import NO_WINDOW_HINT
from floe_ingestion_defs.dlt_plugin.schema_contract.arrow import admit_table
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import (
    REJECTED_SUFFIX,
    Contract,
    KnownTable,
    StrictMode,
)
from floe_ingestion_defs.dlt_plugin.schema_contract.rows import admit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlt.common.schema.typing import TTableSchemaColumns
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import RejectedRow, Rejections


class ContractGate(ItemTransform[Any]):
    """Enforces the contract of one resource.

    Args:
        spec: The resource.
        rejections: Counts what is rejected.
    """

    # After dlt's incremental; before it, the last rows of a load would be judged again by the next.
    placement_affinity: ClassVar[float] = 2

    def __init__(self, spec: ResourceSpec, rejections: Rejections) -> None:
        super().__init__(lambda item: item)
        self._spec = spec
        self._rejections = rejections
        self._contract: Contract | None = None

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the accepted part of an item; None if there is none."""
        if item is None or for_another_table(meta):
            return item
        if self._contract is None:
            self._contract = self._initial_contract()
        if not self._contract.known:
            # The first load of a table without declared columns defines its schema.
            return item
        if isinstance(meta, HintsMeta):
            _keep_known_hints(meta, self._contract.known)
        if isinstance(item, list) and not item:
            return item
        items = item if isinstance(item, list) else [item]
        if isinstance(items[0], (pa.Table, pa.RecordBatch)):
            admitted, rejected = _admit_tables(items, self._contract)
        elif isinstance(items[0], dict):
            admitted, rejected = admit_rows(items, self._contract)
        else:
            return item
        if not (rejected and self._spec.quarantine):
            return admitted or None
        return self._with_rejected(admitted, rejected)

    def _initial_contract(self) -> Contract:
        """Return the contract at the start of the load; the schema changes during the load."""
        spec = self._spec
        keys = (*spec.primary_key, *spec.merge_key)
        cursor = () if spec.cursor_field is None else (spec.cursor_field,)
        schema = dlt.current.source_schema()
        return Contract(
            KnownTable(schema, spec.table_name, named=(*keys, *cursor), required=keys),
            cast("StrictMode", spec.schema_contract),
            self._rejections,
            spec.quarantine,
            spec.show_values,
        )

    def _with_rejected(self, admitted: list[Any], rejected: list[RejectedRow]) -> Iterator[Any]:
        if admitted:
            yield admitted
        yield rejected_item(self._spec.table_name, rejected)


def rejected_item(table_name: str, rejected: Sequence[RejectedRow]) -> Any:
    """Return rejected rows as an item that dlt loads into their own table.

    Args:
        table_name: Name of the table that they were rejected from.
        rejected: The rows.
    """
    now = datetime.now(UTC)
    return for_rejected_table(
        table_name, [{"rejected_at": now, **row._asdict()} for row in rejected]
    )


def for_rejected_table(table_name: str, rows: Any) -> Any:
    """Return rows of the table of rejected rows as an item that dlt adds to it."""
    return dlt.mark.with_hints(
        rows,
        dlt.mark.make_hints(
            table_name=table_name + REJECTED_SUFFIX,
            write_disposition="append",
            columns={
                "rejected_at": {"name": "rejected_at", "data_type": "timestamp"},
                "reason": {"name": "reason", "data_type": "text"},
                "row": {"name": "row", "data_type": "json"},
                "nested_table": {"name": "nested_table", "data_type": "text"},
            },
        ),
        create_table_variant=True,
    )


def _admit_tables(items: Sequence[Any], contract: Contract) -> tuple[list[pa.Table], list[Any]]:
    tables, rejected = [], []
    for item in items:
        table = item if isinstance(item, pa.Table) else pa.Table.from_batches([item])
        admitted, rows = admit_table(table, contract)
        # A table without rows creates the table of a source without rows.
        if admitted.num_rows or not table.num_rows:
            tables.append(admitted)
        rejected += rows
    return tables, rejected


def _keep_known_hints(meta: HintsMeta, known: KnownTable) -> None:
    """Reduce the columns that a source reports, such as reflected ones, to those of the contract.

    dlt would add the others to the table, and change the types of these.
    """
    columns = meta.hints.get("columns")
    if isinstance(columns, dict):
        kept = {
            name: {**column, **known.columns[key], "name": name}
            for name, column in columns.items()
            if (key := known.key(name)) in known.columns
        }
        # dlt reads the latter if the table has other hints already.
        meta.hints["columns"] = meta.hints["original_columns"] = cast("TTableSchemaColumns", kept)


def separate_rejected_rows(resource: DltResource, spec: ResourceSpec) -> None:
    """Give the table of rejected rows none of the hints of the resource's own table.

    dlt begins with a copy of those: keys that the rows do not have, columns, partitions, windows.
    """
    resource.apply_hints(
        table_name=spec.table_name + REJECTED_SUFFIX,
        write_disposition="append",
        primary_key="",
        merge_key="",
        columns={},
        additional_table_hints={},
        create_table_variant=True,
    )
    resource.apply_hints(
        table_name=spec.table_name + REJECTED_SUFFIX,
        additional_table_hints={NO_WINDOW_HINT: True},
        create_table_variant=True,
    )


def for_another_table(meta: Any) -> bool:
    """Return whether a resource sends an item to a table other than its own."""
    from dlt.extract.items import TableNameMeta

    return isinstance(meta, TableNameMeta) or (
        isinstance(meta, HintsMeta) and meta.create_table_variant
    )


def guard_resource(resource: DltResource, spec: ResourceSpec, rejections: Rejections) -> None:
    """Add the gate to a resource whose contract is not `evolve`."""
    if spec.schema_contract != "evolve":
        resource.add_step(ContractGate(spec, rejections))
