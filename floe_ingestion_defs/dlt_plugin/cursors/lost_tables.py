"""Finds tables that are gone while the state of their resources is kept, as after DROP TABLE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from dlt.common.schema.utils import has_table_seen_data

from floe_ingestion_defs.dlt_plugin.errors.exceptions import DestinationWriteError
from floe_ingestion_defs.dlt_plugin.named_tables import tables_named_by_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dlt import Pipeline

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec


class _KnowsTables(Protocol):
    """The part of the destination's client that is used here."""

    def absent_tables(self, tables: Collection[str]) -> list[str]: ...


def require_tables(pipeline: Pipeline, source_name: str, specs: Iterable[ResourceSpec]) -> None:
    """Verify that the tables exist which loads continue from a stored cursor or list of files.

    Otherwise only new rows would be loaded, and the table would silently lack all earlier ones.

    Args:
        pipeline: dlt's pipeline, with its state restored.
        source_name: Name of the source, under which dlt stores the resources' state.
        specs: The resources.

    Raises:
        DestinationWriteError: A table does not exist, although its resource has loaded rows.
    """
    states = pipeline.state.get("sources", {}).get(source_name, {}).get("resources", {})
    schema = pipeline.schemas.get(source_name)
    if schema is None:
        return
    expected = {}
    for spec in specs:
        own = schema.naming.normalize_tables_path(spec.table_name)
        for name in (
            (own, *tables_named_by_rows(schema.tables, spec)) if states.get(spec.name) else ()
        ):
            if has_table_seen_data(schema.tables.get(name, {})):
                expected[name] = spec
    if not expected:
        return
    with pipeline.destination_client(source_name) as opened:
        lost = cast("_KnowsTables", opened).absent_tables(expected)
    for name in lost:
        spec = expected[name]
        msg = (
            f"table {spec.namespace}.{name} does not exist, but resource {spec.name} has loaded "
            "rows into it and would continue after them; load everything again with a full refresh "
            "(`refresh` in the run configuration), or restore the table"
        )
        raise DestinationWriteError(msg)
