"""Passes on tables with at least one typed column, since a column gets its type from its values.

Files without rows create the table with the columns whose type is known. Rows without any value
wait for the types that a later file has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from floe_ingestion_defs.dlt_plugin.errors.exceptions import SourceReadError
from floe_ingestion_defs.dlt_plugin.sources.arrow_types import conform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes


def typed_tables(
    tables: Iterable[pa.Table], types: KnownTypes, *, first_load: bool, has_load_id: bool
) -> Iterator[pa.Table]:
    """Yield the tables with rows, or one without if the first load of a table has none.

    Args:
        tables: Tables as read from the files of one load.
        types: Types of the table's columns, to which those of the files were added.
        first_load: Whether the table does not exist yet.
        has_load_id: Whether each row gets the id of its load, so that no other column is required.

    Raises:
        SourceReadError: No column of the rows has a type, so that the table cannot be created.
    """
    untyped: list[pa.Table] = []
    rows = 0
    # Nothing is read where nothing was found: an empty folder says nothing about its files.
    found = False
    for table in tables:
        found = True
        if not table.num_rows:
            continue
        rows += table.num_rows
        if not _is_typed(table):
            # Columns without values take no memory.
            untyped.append(table)
            continue
        yield from _typed(untyped, types)
        untyped = []
        yield table
    if untyped:
        if not types.columns() and not has_load_id:
            msg = (
                f"none of the columns has a value in any of {rows} rows, so their types are not "
                "known; declare them under `columns`"
            )
            raise SourceReadError(msg)
        yield from _typed(untyped, types)
    columns = types.columns()
    if found and first_load and not rows and (columns or has_load_id):
        yield pa.schema(list(columns.items())).empty_table()


def _typed(untyped: Iterable[pa.Table], types: KnownTypes) -> Iterator[pa.Table]:
    """Yield rows without values with columns that have a type, since dlt drops the others."""
    columns = types.columns()
    for table in untyped:
        known = conform(table, types.of(table.schema.names), nested=types.nested)
        if not _is_typed(known) and columns:
            name, kind = next(iter(columns.items()))
            known = known.append_column(name, pa.nulls(known.num_rows, kind))
        yield known


def _is_typed(table: pa.Table) -> bool:
    return not all(pa.types.is_null(kind) for kind in table.schema.types)
