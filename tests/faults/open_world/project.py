"""This project's loads in the model, and what each makes of the rows of its table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import dlt

from floe_ingestion_defs.destinations import iceberg_window

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE = "lake"
Row = tuple[int, str]
Kind = Literal["append", "add", "merge", "replace", "window", "refresh", "drop_data"]
TABLES: dict[Kind, str] = {
    "append": "events",
    "refresh": "events",
    "drop_data": "events",
    "add": "users",
    "merge": "users",
    "replace": "countries",
    "window": "days",
}
NESTED = "users__tags"
FIRST_IDS = {"shop": 0, "mail": 1000}


@dataclass
class Operation:
    """One load, whose name every row of it carries.

    Attributes:
        rows: The ids of the rows, known once they are extracted.
        load_id: dlt's id of the load, known once it is extracted.
        knows_table: Whether the pipeline has loaded the table before; dlt drops no others.
    """

    name: str
    kind: Kind
    pipeline: str
    ids: tuple[int, ...]
    rows: list[int] = field(default_factory=list)
    load_id: str = ""
    knows_table: bool = False

    @property
    def table(self) -> str:
        """The root table that the load is for."""
        return TABLES[self.kind]

    @property
    def starts_empty(self) -> bool:
        """Whether nothing of what the table held remains."""
        return self.kind == "replace" or (self.resets_cursor and self.knows_table)

    @property
    def resets_cursor(self) -> bool:
        """Whether the extraction begins at the beginning."""
        return self.kind in ("refresh", "drop_data")

    @property
    def refresh(self) -> Any:
        """dlt's refresh mode."""
        return {"refresh": "drop_resources", "drop_data": "drop_data"}.get(self.kind)

    def apply(self, table: Counter[Row]) -> Counter[Row]:
        """Return what the load makes of a table."""
        mine = Counter((n, self.name) for n in self.rows)
        if self.starts_empty:
            return mine
        gone: set[int] = set()
        if self.kind == "merge":
            gone = set(self.rows)
        elif self.kind == "window":
            gone = set(range(min(self.ids), max(self.ids) + 1))
        return Counter({row: n for row, n in table.items() if row[0] not in gone}) + mine

    def resource(self) -> Any:
        """Return what is extracted."""
        if self.table == "events":
            return self._events()
        rows = [self._row(n) for n in self.ids]
        self.rows = list(self.ids)
        if self.table == "users":
            rows = [{**row, "tags": [{"tag": self.name}]} for row in rows]
        if self.kind == "add":
            return dlt.resource(rows, name="users", write_disposition="append")
        if self.kind == "merge":
            return dlt.resource(
                rows,
                name="users",
                primary_key="id",
                write_disposition={"disposition": "merge", "strategy": "delete-insert"},
            )
        if self.kind == "replace":
            return dlt.resource(rows, name="countries", write_disposition="replace")
        window = dlt.resource(rows, name="days", write_disposition="append")
        return iceberg_window(window, "id", min(self.ids), max(self.ids) + 1)

    def _row(self, number: int) -> dict[str, Any]:
        return {"id": number, "by": self.name, "note": self.name}

    def _events(self) -> Any:
        first = FIRST_IDS[self.pipeline]

        @dlt.resource(name="events", write_disposition="append")
        def events(
            cursor: Any = dlt.sources.incremental("id", initial_value=first),  # noqa: B008
        ) -> Iterator[list[dict[str, Any]]]:
            start = int(cursor.last_value)
            self.rows = list(range(start + 1, start + 1 + len(self.ids)))
            yield [self._row(n) for n in self.rows]

        return events
