"""The merge source of a load: the rows that dlt's hint `source_filter` selects, in SQL.

Rows that it does not select are not staged, so nothing of it has to be known when the load is
published. It refers to columns of the root table; nested rows follow the row that they belong to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dlt.common.schema.utils import get_first_column_name_with_prop, get_root_table

from floe_ingestion_defs.destinations.impl.iceberg.changes.condition import (
    ConditionError,
    evaluate,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import Mask
    from floe_ingestion_defs.destinations.impl.iceberg.package import Package
    from floe_ingestion_defs.destinations.impl.iceberg.plan import TablePlan

# As in dlt's SQL destinations, `insert-only` ignores the filter.
_FILTERED = ("delete-insert", "upsert", "scd2", "cdc")

Select = Callable[[pa.Table], "Mask"]


@contextmanager
def merge_sources(package: Package, plans: Sequence[TablePlan]) -> Iterator[list[TablePlan]]:
    """Yield the plans with the files of the rows that are in their merge sources.

    Raises:
        InvalidHint: A filter is not valid for the columns of its table.
    """
    with tempfile.TemporaryDirectory(prefix="floe-merge-source-") as folder:
        kept_keys: dict[str, pa.Array] = {}
        sources: dict[str, TablePlan] = {}
        # A nested table has a longer name than the one that it is nested in.
        for plan in sorted(plans, key=lambda plan: (len(plan.table), plan.table)):
            select = _selection(package, plan, kept_keys)
            if select is not None:
                jobs = [_filtered(job, select, Path(folder)) for job in plan.jobs]
                kept_keys[plan.table] = _row_keys(package, plan, jobs)
                plan = replace(plan, jobs=tuple(jobs))
            sources[plan.table] = plan
        yield [sources[plan.table] for plan in plans]


def _selection(package: Package, plan: TablePlan, kept_keys: dict[str, pa.Array]) -> Select | None:
    """Return the selection of a table's rows, None for all."""
    if plan.intent.strategy not in _FILTERED:
        return None
    root: dict[str, Any] = dict(get_root_table(package.schema.tables, plan.table))
    condition = root.get("x-merge-source-filter")
    if not condition:
        return None
    table = package.schema.tables[plan.table]
    if (parent := table.get("parent")) is None:
        return lambda rows: _evaluated(plan.table, condition.format(), rows)
    parent_key = cast("str", get_first_column_name_with_prop(table, "parent_key"))
    keys = kept_keys.get(parent, pa.array([], pa.string()))
    return lambda rows: pc.is_in(rows[parent_key], value_set=keys.cast(rows[parent_key].type))


def _evaluated(table: str, condition: str, rows: pa.Table) -> Mask:
    """Return the rows for which an SQL condition is true."""
    try:
        return evaluate(condition, rows)
    except ConditionError as invalid:
        msg = f"`source_filter` of table `{table}` is not valid: {invalid}"
        raise InvalidHint(msg) from None


def _filtered(job: Path, select: Select, folder: Path) -> Path:
    """Write the selected rows of a file to another one, a row group at a time."""
    source, path = pq.ParquetFile(job), folder / job.name
    with pq.ParquetWriter(path, source.schema_arrow) as writer:
        for number in range(source.num_row_groups):
            rows = source.read_row_group(number)
            writer.write_table(rows.filter(select(rows)))
    return path


def _row_keys(package: Package, plan: TablePlan, jobs: Sequence[Path]) -> pa.Array:
    """Return the keys that rows nested in the selected ones refer to."""
    table = package.schema.tables[plan.table]
    # The version of a row that dlt computes for `scd2` is its key too.
    key = get_first_column_name_with_prop(table, "row_key") or (
        get_first_column_name_with_prop(table, "x-row-version")
    )
    columns = [pq.read_table(job, columns=[key])[key] for job in jobs] if key else []
    chunks = [chunk.cast(pa.string()) for column in columns for chunk in column.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())
