"""Accepts the rows that match the schema contract; rejects, counts and optionally stores the rest.

This is the last step of every resource with a contract other than `evolve`. It treats dicts and
Arrow tables in the same way. Rejected rows can be stored in a separate table, `{table}__rejected`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

import dlt
from dlt.common.schema.utils import has_table_seen_data
from dlt.extract.hints import HintsMeta

from floe_ingestion_defs.destinations import NO_WINDOW_HINT
from floe_ingestion_defs.dlt_plugin.named_tables import QuarantinedRow, tables_named_by_rows
from floe_ingestion_defs.dlt_plugin.schema_contract.arrow import admit_table
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import (
    REJECTED_SUFFIX,
    Contract,
    KnownTable,
    StrictMode,
    contract_violation,
)
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import RejectedRow
from floe_ingestion_defs.dlt_plugin.schema_contract.rows import admit_rows
from floe_ingestion_defs.dlt_plugin.steps import (
    Step,
    as_table,
    is_arrow,
    items_of,
    table_named_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from dlt.common.schema.typing import TTableSchemaColumns
    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections


class ContractGate(Step):
    """Enforces the contract of one resource, for each of the tables that its rows go to.

    Args:
        spec: The resource.
        rejections: Counts what is rejected.
        table_of: Returns the table that an item goes to, where the resource names it per item.
    """

    # After dlt's incremental; before it, the last rows of a load would be judged again by the next.
    placement_affinity: ClassVar[float] = 2

    def __init__(
        self,
        spec: ResourceSpec,
        rejections: Rejections,
        table_of: Callable[[Any], str] | None = None,
    ) -> None:
        super().__init__()
        self._spec = spec
        self._rejections = rejections
        self._table_of = table_of
        self._contracts: dict[str, Contract] = {}
        self._known_before: tuple[str, ...] | None = None

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the accepted part of an item; None if there is none."""
        if item is None:
            return item
        named = table_named_by(meta)
        if named is not None and named.endswith(REJECTED_SUFFIX):
            return item
        items = items_of(item)
        by_table: dict[str, list[Any]] = {}
        if named is None and self._table_of is not None:
            for each in items:
                by_table.setdefault(self._table_of(each), []).append(each)
        if not by_table:
            table = named or self._spec.table_name
            contract = self._contract_of(table)
            if isinstance(meta, HintsMeta) and named is None and contract.known:
                _keep_known_hints(meta, contract.known)
            if not items:
                return item
            by_table = {table: items}
        admitted: list[Any] = []
        rejected: list[Any] = []
        for table, rows in by_table.items():
            kept, others = self._admit(rows, self._contract_of(table))
            admitted += kept
            rejected += others
        if not (rejected and self._spec.quarantine):
            return admitted or None
        return self._with_rejected(admitted, rejected)

    def _admit(self, items: list[Any], contract: Contract) -> tuple[list[Any], list[Any]]:
        """Return the accepted items of a table, and the rejected rows with the reason."""
        # The first load of a table without declared columns defines its schema, unless the
        # resource has other tables.
        if not contract.known and self._known_before:
            return [], self._reject_table(items, contract)
        if is_arrow(items[0]):
            return _admit_tables(items, contract)
        if isinstance(items[0], dict):
            return admit_rows(items, contract)
        return items, []

    def _reject_table(self, items: list[Any], contract: Contract) -> list[Any]:
        """Reject the rows of a table that is new."""
        table = contract.known.name
        if contract.mode == "freeze":
            raise contract_violation(table, "", None, None)
        reason = f"table {table} is new"
        rows = [
            row
            for item in items
            for row in (item.to_pylist() if hasattr(item, "to_pylist") else [item])
        ]
        self._rejections.reject_rows(reason, len(rows))
        return [RejectedRow(reason, row) for row in rows]

    def _contract_of(self, table: str) -> Contract:
        """Return the contract of a table at the start of the load; the schema changes in it."""
        schema, spec = dlt.current.source_schema(), self._spec
        if self._known_before is None:
            own = schema.naming.normalize_tables_path(spec.table_name)
            is_known = has_table_seen_data(schema.tables.get(own, {}))
            named = tables_named_by_rows(schema.tables, spec)
            self._known_before = (own, *named) if is_known else named
        name = schema.naming.normalize_tables_path(table)
        if name not in self._contracts:
            keys = (*spec.primary_key, *spec.merge_key)
            cursor = () if spec.cursor_field is None else (spec.cursor_field,)
            self._contracts[name] = Contract(
                KnownTable(schema, name, named=(*keys, *cursor), required=keys),
                cast("StrictMode", spec.schema_contract),
                self._rejections,
                spec.quarantine,
                spec.show_values,
                keeps_nested=spec.keeps_nested,
            )
        return self._contracts[name]

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
        table_name, [QuarantinedRow(rejected_at=now, **row._asdict()) for row in rejected]
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
        table = as_table(item)
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


def guard_resource(resource: DltResource, spec: ResourceSpec, rejections: Rejections) -> None:
    """Add the gate to a resource whose contract is not `evolve`."""
    if spec.schema_contract != "evolve":
        named = resource.table_name
        table_of = named if callable(named) else None
        resource.add_step(ContractGate(spec, rejections, table_of))
