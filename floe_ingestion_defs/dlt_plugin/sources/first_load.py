"""Whether a table has had rows: before, a result without any may be due to a typo in a setting."""

from __future__ import annotations


def has_loaded_rows(table_name: str) -> bool:
    """Return whether a load before the current one had rows for a table.

    Args:
        table_name: Name of the table in the schema of the source that is being extracted.
    """
    import dlt
    from dlt.common.schema.utils import has_table_seen_data

    schema = dlt.current.source_schema()
    table = schema.tables.get(schema.naming.normalize_tables_path(table_name))
    return table is not None and has_table_seen_data(table)
