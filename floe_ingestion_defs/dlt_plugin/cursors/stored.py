"""Reads the stored cursors of a pipeline, which dlt keeps in the pipeline's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt import Pipeline

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec


def read_cursors(
    pipeline: Pipeline, source_name: str, specs: Iterable[ResourceSpec]
) -> dict[str, Any]:
    """Return the stored cursor of each resource that has one and was loaded before.

    Args:
        pipeline: dlt's pipeline, with its state restored.
        source_name: Name of the source, under which dlt stores the resources' state.
        specs: The resources.
    """
    sources: Mapping[str, Any] = pipeline.state.get("sources", {})
    resources = sources.get(source_name, {}).get("resources", {})
    found = {}
    for spec in specs:
        cursors = resources.get(spec.name, {}).get("incremental", {})
        # A resource can define its own cursor, which may not be in the configuration.
        cursor = cursors.get(spec.cursor_field) or (
            next(iter(cursors.values())) if len(cursors) == 1 else {}
        )
        if cursor.get("last_value") is not None:
            found[spec.name] = cursor["last_value"]
    return found
