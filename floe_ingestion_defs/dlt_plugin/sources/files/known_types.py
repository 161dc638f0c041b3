"""The known column types of a table, before and while its files are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from floe_ingestion_defs.dlt_plugin.sources.arrow_types import arrow_type, conform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.normalizers.naming import NamingConvention

Learned = tuple[dict[str, pa.DataType], frozenset[str], set[str]]


class KnownTypes:
    """Arrow types by column: declared ones, those of the table, and those of earlier files.

    Args:
        declared: Declared columns in dlt's format, by their names in the files.
        table: Columns that the table already has, by dlt's normalized names.
        naming: dlt's naming convention, which normalizes the names in a file.
        lenient: Whether columns that do not match are kept, for the contract to judge.
        nested: Whether nested values stay structs, lists and maps.
    """

    def __init__(
        self,
        declared: Mapping[str, Mapping[str, Any]],
        table: Mapping[str, Mapping[str, Any]],
        naming: NamingConvention,
        *,
        lenient: bool = False,
        nested: bool = False,
    ) -> None:
        self.lenient = lenient
        self.nested = nested
        self._normalize = naming.normalize_path
        self._columns: dict[str, Mapping[str, Any]] = dict(table)
        declared_columns = {
            self._normalize(name): column
            for name, column in declared.items()
            if column.get("data_type")
        }
        self._declared = frozenset(declared_columns)
        self._columns |= declared_columns
        self._types = {
            name: kind
            for name, column in self._columns.items()
            if (kind := arrow_type(column, nested=nested)) is not None
        }
        self._names: dict[str, str] = {}
        # Columns of the table and of the files read before, with or without a type.
        self._in_files = {name for name in table if not name.startswith("_dlt_")}
        self._nested: frozenset[str] = frozenset()

    def of(self, names: Iterable[str]) -> dict[str, pa.DataType]:
        """Return the known types of the named columns."""
        found = {name: self._types.get(self.key(name)) for name in names}
        return {name: kind for name, kind in found.items() if kind is not None}

    def declared_among(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of the named columns whose type the configuration declares."""
        return frozenset(name for name in names if self.key(name) in self._declared)

    def has_any(self, names: Iterable[str]) -> bool:
        """Return whether a file has a column of the table, or of the files read before.

        Where there are none yet, it has.
        """
        expected = self._in_files | self._declared
        return not self._in_files or any(self.key(name) in expected for name in names)

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return those of the named columns that neither the table nor any file has."""
        return [name for name in names if self.key(name) not in self._in_files]

    def names(self) -> list[str]:
        """Return the columns whose type is known, by every name that they had in a file."""
        return [*self._types, *(name for name in self._names if name not in self._types)]

    def columns(self) -> dict[str, pa.DataType]:
        """Return the columns whose type is known, by the name that they had in a file, if any."""
        in_files = {key: name for name, key in self._names.items()}
        return {in_files.get(key, key): kind for key, kind in self._types.items()}

    def without_repeated(self, table: pa.Table) -> pa.Table:
        """Return a table without empty columns that it also has by another name.

        Arrow adds each requested column: `order_id` of the table beside `OrderID` of the file.
        """
        empty = [name for name in table.schema.names if table[name].null_count == table.num_rows]
        present = {self.key(name) for name in table.schema.names if name not in set(empty)}
        repeated = []
        for name in empty:
            if self.key(name) in present:
                repeated.append(name)
            present.add(self.key(name))
        return table.drop_columns(repeated) if repeated else table

    def is_nested(self, name: str) -> bool:
        """Return whether a column's text is, or may be, a nested value."""
        key = self.key(name)
        return key in self._nested or self._columns.get(key, {}).get("data_type") == "json"

    def learn_nested(self, name: str) -> None:
        """Record that a text column also has nested values."""
        self._nested |= {self.key(name)}

    def learn(self, table: pa.Table) -> pa.Table:
        """Record the types of columns that are found for the first time, and return the table.

        Those of nested columns have been extended by the fields that are found for the first time.
        """
        for field in table.schema:
            key = self.key(field.name)
            self._in_files.add(key)
            if pa.types.is_nested(field.type) and not self.lenient:
                self._types[key] = field.type
            elif not pa.types.is_null(field.type):
                self._types.setdefault(key, field.type)
        return table

    def conform(self, table: pa.Table) -> pa.Table:
        """Return a table in the known types, and record those of its new columns.

        Raises:
            ColumnTypeMismatch: Values of a column cannot be converted to its known type.
        """
        known = self.of(table.schema.names)
        return self.learn(conform(table, known, lenient=self.lenient, nested=self.nested))

    def copy(self) -> Learned:
        """Return what was recorded so far, for `restore`."""
        return dict(self._types), self._nested, set(self._in_files)

    def restore(self, learned: Learned) -> None:
        """Discard what was recorded since a `copy`."""
        self._types, self._nested = dict(learned[0]), learned[1]
        self._in_files = set(learned[2])

    def key(self, name: str) -> str:
        """Return the name that a column of a file has in the table."""
        key = self._names.get(name)
        if key is None:
            key = self._names[name] = self._normalize(name)
        return key
