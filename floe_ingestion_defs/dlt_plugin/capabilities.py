"""What the plugin supports, for platforms that validate a configuration before deployment."""

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
    """The choices in a source's configuration.

    Attributes:
        source_types: Types of sources.
        write_modes: How rows are written to a table.
        merge_strategies: How a merge handles rows with the same key.
        schema_contracts: How new columns and type changes are handled.
    """

    source_types: tuple[str, ...] = get_args(SourceTypeName)
    write_modes: tuple[str, ...] = get_args(WriteMode)
    merge_strategies: tuple[str, ...] = get_args(MergeStrategy)
    schema_contracts: tuple[str, ...] = get_args(SchemaContract)
