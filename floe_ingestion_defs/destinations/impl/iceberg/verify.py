"""Verification of a load's hints, by dlt's own rules for SQL destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlt.common.schema.exceptions import SchemaCorruptedException
from dlt.destinations.utils import (
    verify_schema_merge_disposition,
    verify_schema_replace_disposition,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.typing import PreparedTableSchema
    from dlt.common.schema import Schema
    from dlt.common.schema.typing import TLoaderReplaceStrategy

# Options of dlt 1.31; a merge that ignored one would write other rows than requested.
_UNSUPPORTED_OPTIONS = {"x-merge-skip-unchanged-rows": "skip_unchanged_rows"}


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
        for hint, option in _UNSUPPORTED_OPTIONS.items():
            if table.get(hint):
                msg = f"Table `{table['name']}` has hint `{option}`, which is not supported."
                raise SchemaCorruptedException(schema.name, msg)
