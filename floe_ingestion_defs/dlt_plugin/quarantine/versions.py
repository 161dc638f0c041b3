"""Which version of a row is the newest, among quarantined rows and the rows of a table.

A row that was rejected is older than what later loads have loaded with the same key, and must not
replace it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from floe_ingestion_defs.dlt_plugin.load_ids import LOAD_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyiceberg.table import Table

Key = tuple[Any, ...]


class Version(NamedTuple):
    """What decides which of two rows with the same key is newer.

    Attributes:
        cursor: Value of the cursor, if the resource has one.
        load_id: dlt's id of the load that extracted the row, which is a timestamp.
    """

    cursor: Any
    load_id: str | None

    def is_newer_than(self, other: Version) -> bool | None:
        """Return whether this version is newer than another; None if that is not known."""
        if None not in (self.cursor, other.cursor) and self.cursor != other.cursor:
            return bool(self.cursor > other.cursor)
        if self.load_id and other.load_id and self.load_id != other.load_id:
            return float(self.load_id) > float(other.load_id)
        return None


class Place(Enum):
    """The place of a quarantined row among the versions of its key."""

    NEWEST = "newest"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


class Versions:
    """The versions of the keys of quarantined rows."""

    def __init__(self) -> None:
        self._newest: dict[Key, tuple[Version, str]] = {}
        self._of_table: dict[Key, Version] = {}

    def add(self, key: Key, version: Version, row_id: str) -> None:
        """Add a quarantined row; of rows with equal versions, the last one is the newest."""
        known = self._newest.get(key)
        if known is None or version.is_newer_than(known[0]) is not False:
            self._newest[key] = (version, row_id)

    def read(self, table: Table, key: Sequence[str], cursor: str | None) -> None:
        """Read the versions that a table has of the same keys.

        Args:
            table: The table.
            key: Columns of the key.
            cursor: Column of the cursor, if there is one.
        """
        names = {field.name for field in table.schema().fields}
        if not self._newest or not names.issuperset(key):
            return
        others = [name for name in (cursor, LOAD_ID) if name in names and name not in key]
        for found, version in _versions(table, key, others, cursor, self._newest):
            if found in self._newest:
                self._of_table[found] = version

    def place(self, key: Key, version: Version, row_id: str) -> Place:
        """Return the place of a row that was added."""
        if self._newest[key][1] != row_id:
            return Place.SUPERSEDED
        if key not in self._of_table:
            return Place.NEWEST
        match version.is_newer_than(self._of_table[key]):
            case True:
                return Place.NEWEST
            case False:
                return Place.SUPERSEDED
            case None:
                return Place.UNKNOWN


def _versions(
    table: Table, key: Sequence[str], others: Sequence[str], cursor: str | None, keys: Iterable[Key]
) -> Iterable[tuple[Key, Version]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = [first for first, *_ in keys]
    for batch in table.scan(selected_fields=(*key, *others)).to_arrow_batch_reader():
        column = batch.column(key[0])
        rows = batch.filter(pc.is_in(column, pa.array(wanted, column.type)))
        for row in rows.to_pylist():
            version = Version(row.get(cursor) if cursor else None, row.get(LOAD_ID))
            yield tuple(row[name] for name in key), version
