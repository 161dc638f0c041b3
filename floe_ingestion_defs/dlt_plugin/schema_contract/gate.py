"""Lets through what was agreed on, and keeps out, counts and sets aside the rest.

The last step of every resource with a contract other than `evolve`. It means the same for dicts
and for Arrow tables. Refused rows can be kept in a table of their own, `{table}__rejected`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

import dlt
import pyarrow as pa
from dlt.extract.items_transform import ItemTransform

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

    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections


class ContractGate(ItemTransform[Any]):
    """Holds the contract of one resource.

    Args:
        spec: The resource.
        rejections: Where what is refused is counted.
    """

    # After dlt's incremental, which would have the last rows of a load judged again by the next.
    placement_affinity: ClassVar[float] = 2

    def __init__(self, spec: ResourceSpec, rejections: Rejections) -> None:
        super().__init__(lambda item: item)
        self._spec = spec
        self._rejections = rejections
        self._contract: Contract | None = None

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return what is admitted of an item, which may be nothing."""
        if item is None or (isinstance(item, list) and not item) or _for_another_table(meta):
            return item
        if self._contract is None:
            self._contract = self._agreed_before()
        if not self._contract.known:
            # The first load of a table that nobody declared: it is what agrees on the columns.
            return item
        items = item if isinstance(item, list) else [item]
        if isinstance(items[0], (pa.Table, pa.RecordBatch)):
            admitted, refused = _admit_tables(items, self._contract)
        elif isinstance(items[0], dict):
            admitted, refused = admit_rows(items, self._contract)
        else:
            return item
        if not (refused and self._spec.quarantine):
            return admitted or None
        return self._with_refused(admitted, refused)

    def _agreed_before(self) -> Contract:
        """Give the contract; the schema changes while the load goes on, and it does not."""
        return Contract(
            KnownTable(dlt.current.source_schema(), self._spec.table_name),
            cast("StrictMode", self._spec.schema_contract),
            self._rejections,
            self._spec.quarantine,
            self._spec.show_values,
        )

    def _with_refused(self, admitted: list[Any], refused: list[tuple[str, Any]]) -> Iterator[Any]:
        if admitted:
            yield admitted
        now = datetime.now(UTC)
        rows = [{"rejected_at": now, "reason": reason, "row": row} for reason, row in refused]
        yield dlt.mark.with_hints(
            rows,
            dlt.mark.make_hints(
                table_name=self._spec.table_name + REJECTED_SUFFIX,
                write_disposition="append",
                columns={
                    "rejected_at": {"name": "rejected_at", "data_type": "timestamp"},
                    "reason": {"name": "reason", "data_type": "text"},
                    "row": {"name": "row", "data_type": "json"},
                },
            ),
            create_table_variant=True,
        )


def _admit_tables(items: Sequence[Any], contract: Contract) -> tuple[list[pa.Table], list[Any]]:
    tables, refused = [], []
    for item in items:
        table = item if isinstance(item, pa.Table) else pa.Table.from_batches([item])
        admitted, rows = admit_table(table, contract)
        if admitted.num_rows:
            tables.append(admitted)
        refused += rows
    return tables, refused


def _for_another_table(meta: Any) -> bool:
    """Whether a resource sends an item to a table other than its own."""
    from dlt.extract.items import TableNameMeta

    return isinstance(meta, TableNameMeta)


def guard_resource(resource: DltResource, spec: ResourceSpec, rejections: Rejections) -> None:
    """Put the gate behind a resource whose contract is other than `evolve`."""
    if spec.schema_contract != "evolve":
        resource.add_step(ContractGate(spec, rejections))
