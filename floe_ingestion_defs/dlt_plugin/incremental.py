"""Cursors: dlt's `incremental` made from a resource's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlt.extract import Incremental

    from floe_ingestion_defs.dlt_plugin.resources import ResourceSpec


def cursor_for(spec: ResourceSpec, *, initial_value: Any = None) -> Incremental[Any] | None:
    """Make the cursor of a resource; None where it has none.

    Rows at the stored maximum are read again and told apart by their key, or by their content
    where they have none, so that rows which tie on the cursor are neither lost nor doubled.

    Args:
        spec: The resource.
        initial_value: Takes the place of the configured one, for a source that needs another type.
    """
    if spec.cursor_field is None:
        return None
    import dlt

    return dlt.sources.incremental(
        spec.cursor_field,
        initial_value=spec.initial_value if initial_value is None else initial_value,
        lag=spec.lag,
        primary_key=spec.primary_key or None,
        # Orchestrators pass their windows to the plugin, never past it.
        allow_external_schedulers=False,
    )
