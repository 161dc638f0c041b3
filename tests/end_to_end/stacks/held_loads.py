"""Loads by the plugin whose servers are taken away from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faults import boundaries

if TYPE_CHECKING:
    from pathlib import Path


def load_held(
    source: dict[str, Any], retries: dict[str, Any], boundary: str, gate: Path
) -> tuple[str, str, int]:
    """Loads a source, held at a boundary until the gate opens.

    Returns:
        The category and the text of the error that ended the load, or "" for either, and the rows
        that were loaded.
    """
    from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, IngestionError

    boundaries.watch(boundaries.hold_when(boundary, gate))
    plugin = DltIngestionPlugin({"sources": [source], "retry_config": retries})
    try:
        result = plugin.load(plugin.create_pipeline(plugin.source(source["name"])))
    except IngestionError as error:
        return str(error.category), str(error), 0
    return "", "", result.rows_loaded


def load_and_die(source: dict[str, Any], boundary: str) -> None:
    """Loads a source and kills this process at a boundary."""
    from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

    boundaries.watch(boundaries.kill_when(boundary))
    plugin = DltIngestionPlugin({"sources": [source]})
    plugin.load(plugin.create_pipeline(plugin.source(source["name"])))
