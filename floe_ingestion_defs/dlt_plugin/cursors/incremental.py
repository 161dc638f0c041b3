"""Cursors: creates dlt's `incremental` from a resource's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.config.names import find_name
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
    """Return the cursor of a resource; None if it has none.

    Rows at the stored maximum are read again and deduplicated by their key, or by their content if
    they have no key, so that rows with equal cursor values are neither lost nor duplicated. With an
    end, dlt neither reads nor writes the stored cursor.

    Args:
        spec: The resource.
        request: The window to load, if any.
        typed: Converts a configured value to the type that the source compares its cursor with.
        ordered: Whether the source must return its rows in the order of the cursor.
    """
    if spec.cursor_field is None:
        return None
    import dlt

    window = request.window
    return dlt.sources.incremental(
        spec.cursor_field,
        initial_value=typed(window.start if window else spec.initial_value),
        end_value=typed(window.end if window else None),
        lag=None if window else spec.lag,
        primary_key=partial(_key_of, spec.primary_key) if spec.primary_key else None,
        on_cursor_value_missing=spec.on_cursor_value_missing or "raise",
        row_order="asc" if ordered else None,
        # Orchestrators pass their windows to the plugin, never directly to dlt.
        allow_external_schedulers=False,
    )


def _key_of(key: tuple[str, ...], item: Any) -> list[str]:
    """Return the columns of a key as a row or an Arrow table spells them.

    dlt looks them up before it normalizes the names.
    """
    names = item.keys() if isinstance(item, Mapping) else getattr(item, "column_names", ())
    return [find_name(name, names) or name for name in key]


def overwrite_window(resource: DltResource, spec: ResourceSpec, request: LoadRequest) -> None:
    """Make a backfill of an append table replace the window's rows.

    A merge does not require this: it updates by key, and rows may have moved to another window.
    """
    window = request.window
    if window and spec.write_mode == "append" and spec.cursor_field is not None:
        from floe_ingestion_defs.destinations import iceberg_window

        iceberg_window(resource, spec.cursor_field, window.start, window.end)
