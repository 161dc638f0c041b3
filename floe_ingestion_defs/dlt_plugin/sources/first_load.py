"""An empty result that may be due to a typo in a setting, which only a first load tells apart."""

from __future__ import annotations

import logging

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

logger = logging.getLogger(__name__)


def is_first_load(table_name: str) -> bool:
    """Return whether no load before the current one has created a table.

    Args:
        table_name: Name of the table in the schema of the source that is being extracted.
    """
    import dlt
    from dlt.common.schema.utils import has_table_seen_data

    schema = dlt.current.source_schema()
    table = schema.tables.get(schema.naming.normalize_tables_path(table_name))
    return table is None or not has_table_seen_data(table)


def reject_empty_first_load(table_name: str, problem: str) -> None:
    """Reject an empty result until a load has had rows for a table; later, log it as a warning.

    Args:
        table_name: Name of the table in the schema of the source that is being extracted.
        problem: The setting that matches nothing, and what is there instead.

    Raises:
        PipelineConfigurationError: No load before the current one had rows for the table.
    """
    if is_first_load(table_name):
        raise PipelineConfigurationError(problem)
    logger.warning("%s; nothing is loaded", problem)
