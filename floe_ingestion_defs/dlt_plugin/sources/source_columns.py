"""Records the names that columns have in the source, from which the lineage of columns is derived.

dlt normalizes names (`CustomerID` becomes `customer_id`) and flattens objects (`city` in `address`
becomes `address__city`), so a table alone does not say where its columns are from.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from dlt.common.normalizers.json.relational import DataItemNormalizer

from floe_ingestion_defs.dlt_plugin.results import ColumnSources
from floe_ingestion_defs.dlt_plugin.steps import Step, is_arrow, items_of, table_named_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.normalizers.naming import NamingConvention
    from dlt.extract import DltResource

_SEPARATOR = "__"


class SourceColumns(Step):
    """A step of a resource that records the columns of its rows, and passes them on unchanged."""

    # Before the contract, which removes columns; after the cursor, which removes rows.
    placement_affinity: ClassVar[float] = 1.25

    def __init__(self) -> None:
        super().__init__()
        self._paths: dict[tuple[str, ...], None] = {}
        self._empty: dict[tuple[str, ...], None] = {}

    def __call__(self, item: Any, meta: Any = None) -> Any:
        """Return the item unchanged."""
        if item is not None and table_named_by(meta) is None:
            items = items_of(item)
            rows = [row for row in items if isinstance(row, dict)]
            if rows:
                self._record(rows, ())
            for table in items if not rows else ():
                self._record_table(table)
        return item

    def _record(self, rows: list[dict[str, Any]], parents: tuple[str, ...]) -> None:
        names = dict.fromkeys(chain.from_iterable(rows))
        self._record_names(names, parents)
        for name in names:
            # All rows of a field are usually of a type; to look at each would double the time. A
            # field that is not found here has the lineage of the object that contains it.
            if any(isinstance(row.get(name), dict) for row in (rows[0], rows[-1])):
                nested = [row[name] for row in rows if isinstance(row.get(name), dict)]
                self._record(nested, (*parents, str(name)))

    def _record_names(self, names: Iterable[str], parents: tuple[str, ...]) -> None:
        self._paths.update(dict.fromkeys((*parents, str(name)) for name in names))

    def _record_table(self, table: Any) -> None:
        """Record the columns of an Arrow table or a data frame."""
        if not is_arrow(table):
            # A data frame of pandas or polars; any other object has no columns to record.
            if hasattr(table, "dtypes") and hasattr(table, "columns"):
                self._record_names(table.columns, ())
            return
        for name, column in zip(table.schema.names, table.columns, strict=True):
            # The reader of a file adds the columns of the table that the file does not have.
            is_empty = column.null_count == len(column)
            (self._empty if is_empty else self._paths)[(name,)] = None

    def of_table(self, columns: Iterable[str], naming: NamingConvention) -> ColumnSources:
        """Return the source's columns behind each column of a table, such as `address.city`.

        Columns that no recorded one accounts for are left out, such as dlt's own.

        Args:
            columns: The table's columns.
            naming: The naming convention of dlt's schema.
        """
        names = list(columns)
        found = _sources_of(names, self._paths, naming)
        rest = [name for name in names if name not in found]
        return ColumnSources(found, _sources_of(rest, self._empty, naming))


def _sources_of(
    columns: Iterable[str], paths: Iterable[tuple[str, ...]], naming: NamingConvention
) -> dict[str, tuple[str, ...]]:
    recorded: dict[str, list[str]] = {}
    for path in paths:
        recorded.setdefault(_normalize(path, naming), []).append(".".join(path))
    found = {name: recorded.get(_closest(name, recorded), ()) for name in columns}
    return {name: tuple(sources) for name, sources in found.items() if sources}


def _normalize(path: tuple[str, ...], naming: NamingConvention) -> str:
    empty = DataItemNormalizer.EMPTY_KEY_IDENTIFIER
    return naming.shorten_fragments(
        *(naming.normalize_path(name) if name.strip() else empty for name in path)
    )


def _closest(column: str, recorded: Mapping[str, Any]) -> str:
    """Return the recorded name of a column, or of what it is part or a variant of."""
    name = column
    while name and name not in recorded:
        name = name.rpartition(_SEPARATOR)[0]
    return name


def record_columns(resource: DltResource) -> SourceColumns:
    """Add the step that records the columns of a resource, and return it."""
    step = SourceColumns()
    resource.add_step(step)
    return step
