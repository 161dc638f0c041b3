"""Dates and timestamps that Iceberg's readers have no value for: outside of the years 1 to 9999.

PostgreSQL's `infinity` arrives as such a value, and Parquet files can have any year. By default the
destination rejects them before the commit. Here they become null, or their rows are quarantined.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract.items_transform import MapItem

from floe_ingestion_defs.dlt_plugin.errors.exceptions import SourceReadError
from floe_ingestion_defs.dlt_plugin.schema_contract.gate import rejected_item
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import RejectedRow
from floe_ingestion_defs.dlt_plugin.steps import Step, as_table, is_arrow, items_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.extract import DltResource

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections

_EPOCH = date(1970, 1, 1)
_FIRST_DAY = (date.min - _EPOCH).days
_DAY_AFTER = (date.max - _EPOCH).days + 1
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}


class OutOfRangeDates(Step):
    """Handles the dates and timestamps of Arrow tables that are out of range.

    Args:
        spec: The resource, with its setting.
        rejections: Counts the values and rows that are not loaded.
    """

    # After dlt's incremental, so that no row is counted twice, and before the schema contract.
    placement_affinity: ClassVar[float] = 1.5

    def __init__(self, spec: ResourceSpec, rejections: Rejections) -> None:
        super().__init__()
        self._spec = spec
        self._rejections = rejections

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the item without values that are out of range."""
        items = items_of(item)
        if not any(is_arrow(each) for each in items):
            return item
        tables = [as_table(each) for each in items]
        if self._spec.out_of_range_dates == "null":
            return [self._with_nulls(table) for table in tables]
        return self._quarantined(tables)

    def _with_nulls(self, table: pa.Table) -> pa.Table:
        for index, field in enumerate(table.schema):
            outside = _outside(table.column(index))
            if outside is not None:
                self._rejections.reject_values(field.name, pc.sum(outside).as_py())
                kept = pc.if_else(outside, pa.scalar(None, field.type), table.column(index))
                table = table.set_column(index, field, kept)
        return table

    def _quarantined(self, items: list[pa.Table]) -> Iterator[Any]:
        for table in items:
            bad: Any = None
            reasons: dict[int, str] = {}
            for index, field in enumerate(table.schema):
                outside = _outside(table.column(index))
                if outside is not None:
                    outside = pc.fill_null(outside, False)
                    bad = outside if bad is None else pc.or_(bad, outside)
                    for row in pc.indices_nonzero(outside).to_pylist():
                        reasons.setdefault(row, f"column {field.name} is out of range")
            if bad is None:
                yield table
                continue
            for reason in reasons.values():
                self._rejections.reject_rows(reason)
            kept = table.filter(pc.invert(bad))
            if kept.num_rows:
                yield kept
            numbers = sorted(reasons)
            rows = _as_texts(table.take(numbers)).to_pylist()
            stored = [
                RejectedRow(reasons[row], value) for row, value in zip(numbers, rows, strict=True)
            ]
            yield rejected_item(self._spec.table_name, stored)


class CursorInRange(MapItem):
    """Fails a load whose cursor is out of range: its maximum could not be stored.

    Args:
        spec: The resource, which has a cursor.
    """

    # Before dlt's incremental, which fails on such a value without naming it.
    placement_affinity: ClassVar[float] = 0.5

    def __init__(self, spec: ResourceSpec) -> None:
        super().__init__(self._check)
        self._spec = spec

    def _check(self, item: Any) -> Any:
        """Return the item.

        Raises:
            SourceReadError: The cursor is out of range in one of its rows.
        """
        name = self._spec.cursor_field
        if not is_arrow(item) or name not in item.schema.names:
            return item
        outside = _outside(item.column(name))
        if outside is not None:
            msg = (
                f"{pc.sum(outside).as_py()} rows have no date or timestamp within the years 1 "
                f"to 9999 in column {name!r}, the cursor. Exclude such rows in the source, as "
                "with a view, or choose another cursor_field"
            )
            raise SourceReadError(msg)
        return item


def handle_out_of_range_dates(
    resource: DltResource, spec: ResourceSpec, rejections: Rejections
) -> None:
    """Add the steps to a resource that its setting requires."""
    if spec.cursor_field is not None:
        resource.add_step(CursorInRange(spec))
    if spec.out_of_range_dates != "fail":
        resource.add_step(OutOfRangeDates(spec, rejections))


def _outside(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return which values of a column are out of range; None if none is."""
    if pa.types.is_date32(column.type):
        numbers, per_day = column.cast(pa.int32()).cast(pa.int64()), 1
    elif pa.types.is_timestamp(column.type) and column.type.unit != "ns":
        numbers, per_day = column.cast(pa.int64()), _PER_DAY[column.type.unit]
    else:  # 64 bits of nanoseconds end in the year 2262.
        return None
    first, end = _FIRST_DAY * per_day, _DAY_AFTER * per_day
    found = pc.min_max(numbers).as_py()
    if found["min"] is None or (found["min"] >= first and found["max"] < end):
        return None
    return pc.or_(pc.less(numbers, first), pc.greater_equal(numbers, end))


def _as_texts(table: pa.Table) -> pa.Table:
    """Return rows with their dates and timestamps as strings: Python has no value for these."""
    for index, field in enumerate(table.schema):
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type):
            text = table.column(index).cast(pa.string())
            table = table.set_column(index, field.with_type(pa.string()), text)
    return table
