"""Makes the table of a database table without rows, which has columns and types all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.sources.sql_database.arrow_helpers import row_tuples_to_arrow

from floe_ingestion_defs.dlt_plugin.sources.first_load import is_first_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.common.schema.typing import TTableSchemaColumns
    from dlt.sources.sql_database import BaseTableLoader


def materializing(loader: type[BaseTableLoader], table_name: str) -> type[BaseTableLoader]:
    """Return a table loader that creates a table also if there are no rows.

    A later load without rows does nothing.

    Args:
        loader: The loader of the rows.
        table_name: Name of the table that they are loaded into.
    """

    # The backend decides at run time which of dlt's loaders this is, so mypy does not know it.
    class MaterializingLoader(loader):  # type: ignore[misc,valid-type]
        def load_rows(self, backend_kwargs: dict[str, Any] | None = None) -> Iterator[Any]:
            empty = True
            for item in super().load_rows(backend_kwargs):
                empty = False
                yield item
            if empty and is_first_load(table_name):
                # Not dlt's marker, a row without values: an upsert would miss its key.
                yield row_tuples_to_arrow([], self._known_columns(), "UTC")

        def _known_columns(self) -> TTableSchemaColumns:
            """Return the columns with a type; nested values become tables where rows are dicts."""
            nested = {"json"} if self.backend == "sqlalchemy" else set()
            return {
                name: column
                for name, column in self.columns.items()
                if column.get("data_type") and column["data_type"] not in nested
            }

    return MaterializingLoader
