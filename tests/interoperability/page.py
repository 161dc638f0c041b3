"""The table of docs/destination/interoperability.md, made from what the tests hold.

`PYTHONPATH=tests .venv/bin/python -m interoperability.page` writes it again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from interoperability.cases import CASES, CLONE
from interoperability.engines import ENGINES, Engine

if TYPE_CHECKING:
    from interoperability.case import Case

PAGE = Path(__file__).resolve().parents[2] / "docs" / "destination" / "interoperability.md"
_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end of the table -->)", re.DOTALL)


def written() -> str:
    """Return the page with the table as it is now."""
    return _TABLE.sub(lambda _: table(), PAGE.read_text())


def table() -> str:
    """Return the table in Markdown: a line per feature, a column per engine, and the notes."""
    notes: list[str] = []
    lines = [["", *(engine.title for engine in ENGINES.values())]]
    for name, case in {**CASES, "cloned": CLONE}.items():
        cells = [cell(engine, name, case, notes) for engine in ENGINES.values()]
        lines.append([case.feature, *cells])
    lines.insert(1, ["---"] * len(lines[0]))
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return rows + "".join(f"\n{number}. {note}" for number, note in enumerate(notes, 1)) + "\n"


def cell(engine: Engine, name: str, case: Case, notes: list[str]) -> str:
    """Return `yes`, or `no` with the number of its note."""
    limits = [
        limit
        for table, limit in engine.unreadable.items()
        if table == name or (table.startswith(f"{name}__") and len(case.rows) > 1)
    ]
    if not limits:
        return "yes"
    for limit in limits:
        if limit.note not in notes:
            notes.append(limit.note)
    numbers = sorted(notes.index(limit.note) + 1 for limit in limits)
    return f"no ({', '.join(map(str, numbers))})"


if __name__ == "__main__":
    PAGE.write_text(written())
