"""What becomes of the values of the column `note` where other writers drop and rename it.

Every load has the column, and each row's note is the load's name.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faults.open_world import others

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table


def _empty() -> dict[str, dict[str, set[str]]]:
    return defaultdict(lambda: defaultdict(set))


@dataclass
class Notes:
    """The loads whose rows must have a value in a column, and those whose rows must have none.

    Attributes:
        gone: By table, the loads whose rows were in it when its column was dropped or renamed.
        kept: By table and new name, the loads whose notes another writer gave that name.
    """

    gone: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    kept: dict[str, dict[str, set[str]]] = field(default_factory=_empty)

    def followed(self, name: str, action: Callable[[Table], None]) -> Callable[[Table], None]:
        """Return an action of another writer that is also noted."""

        def act(table: Table) -> None:
            self._follow(name, table, action)
            action(table)

        return act

    def _follow(self, name: str, table: Table, action: Callable[[Table], None]) -> None:
        keeps_column = action in (others.roll_back, others.add_column)
        if keeps_column or "note" not in table.schema().column_names:
            return
        there = set(table.scan(selected_fields=("by",)).to_arrow()["by"].to_pylist())
        if action is others.rename_column and not others.is_spoilt(table):
            loads = {by for by in there - self.gone[name] if by.startswith("op")}
            self.kept[name][others.new_name(table)] = loads
        self.gone[name] |= there

    def forget(self, name: str) -> None:
        """Forget a table that another writer has dropped or renamed."""
        self.gone.pop(name, None)
        self.kept.pop(name, None)

    def check(self, name: str, table: Table) -> None:
        """Check the values of all rows."""
        rows = table.scan().to_arrow().to_pylist()
        for row in rows:
            note, by = row.get("note"), row["by"]
            if by in self.gone[name]:
                assert note is None, f"{name} shows the note {note} of a dropped column"
            elif note is not None and by.startswith("op"):
                assert note == by, f"{name} shows the note {note} in a row of {by}"
            for column, loads in self.kept[name].items():
                if by in loads and column in row:
                    assert row[column] == by, f"{name} has lost the {column} of a row of {by}"
