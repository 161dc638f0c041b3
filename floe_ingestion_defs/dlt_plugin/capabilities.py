"""What the plugin can do, for platforms that check a configuration before they deploy it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from floe_ingestion_defs.dlt_plugin.config.models import (
    MergeStrategy,
    SchemaContract,
    SourceTypeName,
    WriteMode,
)


@dataclass(frozen=True)
class Capabilities:
    """The choices that a source's configuration has.

    Args:
        source_types: Kinds of source.
        write_modes: How rows come into a table.
        merge_strategies: How a merge treats rows of one key.
        schema_contracts: What happens to columns and types that nobody agreed on.
    """

    source_types: tuple[str, ...] = get_args(SourceTypeName)
    write_modes: tuple[str, ...] = get_args(WriteMode)
    merge_strategies: tuple[str, ...] = get_args(MergeStrategy)
    schema_contracts: tuple[str, ...] = get_args(SchemaContract)
