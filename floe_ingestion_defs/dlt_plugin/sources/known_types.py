"""What is known of a table's column types before, and while, its files are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from floe_ingestion_defs.dlt_plugin.sources.arrow_types import arrow_type

if TYPE_CHECKING:
    from dlt.common.normalizers.naming import NamingConvention


class KnownTypes:
    """Arrow types by column: declared ones, those of the table, and those of earlier files.

    Args:
        declared: Declared columns as dlt takes them, by the names that they have in the files.
        table: Columns that the table has already, by dlt's normalized names.
        naming: How dlt makes a column's name from a file's.
        lenient: Whether columns that do not fit are left to the contract to judge.
    """

    def __init__(
        self,
        declared: Mapping[str, Mapping[str, Any]],
        table: Mapping[str, Mapping[str, Any]],
        naming: NamingConvention,
        *,
        lenient: bool = False,
    ) -> None:
        self.lenient = lenient
        self._normalize = naming.normalize_identifier
        self._columns: dict[str, Mapping[str, Any]] = dict(table)
        self._columns |= {
            self._normalize(name): column
            for name, column in declared.items()
            if column.get("data_type")
        }
        self._types = {
            name: kind
            for name, column in self._columns.items()
            if (kind := arrow_type(column)) is not None
        }
        self._names: dict[str, str] = {}

    def of(self, names: Iterable[str]) -> dict[str, pa.DataType]:
        """Give the types of those of the named columns whose type is known."""
        found = {name: self._types.get(self._key(name)) for name in names}
        return {name: kind for name, kind in found.items() if kind is not None}

    def names(self) -> list[str]:
        """List the columns whose type is known, by every name that they were met under."""
        return [*self._types, *(name for name in self._names if name not in self._types)]

    def is_json(self, name: str) -> bool:
        """Whether a column's text is a nested value."""
        return self._columns.get(self._key(name), {}).get("data_type") == "json"

    def learn(self, table: pa.Table) -> pa.Table:
        """Take over the types of columns met for the first time; gives the table back."""
        for field in table.schema:
            if not pa.types.is_null(field.type):
                self._types.setdefault(self._key(field.name), field.type)
        return table

    def _key(self, name: str) -> str:
        key = self._names.get(name)
        if key is None:
            key = self._names[name] = self._normalize(name)
        return key
