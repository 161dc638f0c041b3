"""Cursors: dlt's `incremental` made from a resource's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.load_request import WHOLE, LoadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt.extract import DltResource, Incremental

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec


def cursor_for(
    spec: ResourceSpec,
    request: LoadRequest = WHOLE,
    typed: Callable[[Any], Any] = lambda value: value,
    *,
    ordered: bool = False,
) -> Incremental[Any] | None:
    """Make the cursor of a resource; None where it has none.

    Rows at the stored maximum are read again and told apart by their key, or by their content
    where they have none, so that rows which tie on the cursor are neither lost nor doubled.
    With an end, dlt neither reads nor writes the stored cursor.

    Args:
        spec: The resource.
        request: The window that is to be loaded, if one is.
        typed: Makes of a configured value what the source compares its cursor with.
        ordered: Whether the source is to give its rows in the cursor's order.
    """
    if spec.cursor_field is None:
        return None
    import dlt

    return dlt.sources.incremental(
        spec.cursor_field,
        initial_value=typed(request.start if request.is_window else spec.initial_value),
        end_value=typed(request.end),
        lag=None if request.is_window else spec.lag,
        primary_key=spec.primary_key or None,
        row_order="asc" if ordered else None,
        # Orchestrators pass their windows to the plugin, never past it.
        allow_external_schedulers=False,
    )


def overwrite_window(resource: DltResource, spec: ResourceSpec, request: LoadRequest) -> None:
    """Let a backfill of a table that is appended to take the place of the window's rows.

    A merge needs none of that: it goes by key, and rows may have moved to another window.
    """
    if request.is_window and spec.write_mode == "append" and spec.cursor_field is not None:
        from floe_ingestion_defs.destinations import iceberg_window

        iceberg_window(resource, spec.cursor_field, request.start, request.end)
