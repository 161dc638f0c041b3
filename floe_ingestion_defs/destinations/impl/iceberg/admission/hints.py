"""Verification of a load's hints, by dlt's own rules for SQL destinations and by some of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from dlt.common.schema.exceptions import SchemaCorruptedException
from dlt.common.schema.utils import get_root_table, is_nested_table
from dlt.destinations.utils import (
    verify_schema_merge_disposition,
    verify_schema_replace_disposition,
)

from floe_ingestion_defs.destinations.impl.iceberg.changes.condition import ConditionError
from floe_ingestion_defs.destinations.impl.iceberg.changes.outcome import Outcome
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import (
    Deletion,
    matching_rows,
    scope_of,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint
from floe_ingestion_defs.destinations.impl.iceberg.reading.inspection import live_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.typing import PreparedTableSchema
    from dlt.common.schema import Schema
    from dlt.common.schema.typing import TLoaderReplaceStrategy
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable
    from floe_ingestion_defs.destinations.impl.iceberg.intent import Nesting


def verify_hints(
    schema: Schema,
    tables: Sequence[PreparedTableSchema],
    capabilities: DestinationCapabilitiesContext,
    replace_strategy: TLoaderReplaceStrategy | None,
) -> None:
    """Verify the hints of a load's tables.

    Args:
        schema: The load's schema.
        tables: Its tables, prepared for loading.
        capabilities: The destination's capabilities.
        replace_strategy: The configured strategy for write disposition `replace`.

    Raises:
        SchemaCorruptedException: A hint is not valid, or one that it requires is missing.
        DestinationCapabilitiesException: The merge strategy is not supported.
    """
    found = verify_schema_merge_disposition(schema, tables, capabilities)
    if replace_strategy is not None:
        found += verify_schema_replace_disposition(schema, tables, capabilities, replace_strategy)
    if found:
        raise found[0]
    for table in tables:
        stored = schema.tables[str(table["name"])]
        own = stored.get("write_disposition")
        root = get_root_table(schema.tables, str(table["name"]))
        if is_nested_table(stored) and own not in (None, root.get("write_disposition")):
            msg = (
                f"Nested table `{table['name']}` has write disposition `{own}`, and its root "
                f"`{root['name']}` has `{root.get('write_disposition')}`. They are loaded "
                "together; remove the hint from `nested_hints`."
            )
            raise SchemaCorruptedException(schema.name, msg)


def require_root_keys(staged: Sequence[StagedTable]) -> None:
    """Check that a merge can find the rows of nested tables by the root row that they belong to.

    Rows two levels deep lead to their root by a column that dlt writes for merges only, so rows
    that were appended before lack it, and a merge would leave them without a parent.

    Raises:
        InvalidHint: Rows of a nested table do not have the key of their root row.
    """
    for table in staged:
        nesting, current = table.intent.nesting, table.current
        if (
            current is None
            or nesting is None
            or nesting.depth < 2
            or nesting.root_key is None
            or table.intent.disposition not in ("merge", "overwrite")
            or table.intent.starts_empty
        ):
            continue
        field = current.schema().find_field(nesting.root_key) if _has(current, nesting) else None
        for task in live_files(current):
            nulls = task.file.null_value_counts or {}
            if field is None or nulls.get(field.field_id, 0):
                msg = (
                    f"Nested table `{table.name}` has rows without `{nesting.root_key}`, which "
                    f"refers to the rows of `{nesting.root}`: they were not loaded by a merge. Set "
                    "`root_key=True` on the source and reload it with `refresh`."
                )
                raise InvalidHint(msg)


def require_valid_scopes(staged: Sequence[StagedTable]) -> None:
    """Check that the hints `destination_scope` can be evaluated on the rows of their tables.

    Raises:
        InvalidHint: One cannot, such as by a value that does not convert to another type.
    """
    for table in staged:
        if (scope := scope_of(table.intent)) is None:
            continue
        columns = pa.schema([table.schema.field(name) for name in scope.columns])
        try:
            scope.contains(pa.RecordBatch.from_pylist([], columns))
            for _ in matching_rows(Outcome(table).state, Deletion((scope,)), []):
                pass
        except ConditionError as invalid:
            msg = f"`destination_scope` of table `{table.name}` is not valid: {invalid}"
            raise InvalidHint(msg) from None


def _has(table: Table, nesting: Nesting) -> bool:
    return nesting.root_key in table.schema().column_names
