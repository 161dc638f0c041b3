"""What is known of a table's column types before, and while, its files are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from floe_ingestion_defs.dlt_plugin.sources.arrow_types import arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.normalizers.naming import NamingConvention

Learned = tuple[dict[str, pa.DataType], frozenset[str]]


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
        self._normalize = naming.normalize_path
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
        self._nested: frozenset[str] = frozenset()

    def of(self, names: Iterable[str]) -> dict[str, pa.DataType]:
        """Give the types of those of the named columns whose type is known."""
        found = {name: self._types.get(self._key(name)) for name in names}
        return {name: kind for name, kind in found.items() if kind is not None}

    def names(self) -> list[str]:
        """List the columns whose type is known, by every name that they were met under."""
        return [*self._types, *(name for name in self._names if name not in self._types)]

    def is_nested(self, name: str) -> bool:
        """Whether a column's text is, or may be, a nested value."""
        key = self._key(name)
        return key in self._nested or self._columns.get(key, {}).get("data_type") == "json"

    def learn_nested(self, name: str) -> None:
        """Take over that a column of text holds nested values, too."""
        self._nested |= {self._key(name)}

    def learn(self, table: pa.Table) -> pa.Table:
        """Take over the types of columns met for the first time; gives the table back."""
        for field in table.schema:
            if not pa.types.is_null(field.type):
                self._types.setdefault(self._key(field.name), field.type)
        return table

    def copy(self) -> Learned:
        """Give what was learned so far, for `restore`."""
        return dict(self._types), self._nested

    def restore(self, learned: Learned) -> None:
        """Forget what was learned since a `copy`."""
        self._types, self._nested = dict(learned[0]), learned[1]

    def _key(self, name: str) -> str:
        key = self._names.get(name)
        if key is None:
            key = self._names[name] = self._normalize(name)
        return key
