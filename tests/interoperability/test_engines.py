"""Every engine reads every table as it was loaded; where it does not, what it does is listed."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from servers.plain_values import plain

from interoperability import page
from interoperability.cases import CASES, CLONE
from interoperability.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from interoperability.case import Case, Row

pytestmark = pytest.mark.interoperability

EXPECTED: dict[str, tuple[Case, list[Row]]] = {
    (f"{name}__{child}" if child else name): (case, rows)
    for name, case in {**CASES, "cloned": CLONE}.items()
    for child, rows in case.rows.items()
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("table", EXPECTED)
def test_an_engine_reads_the_rows_that_were_loaded(
    answers: Callable[[str], dict[str, Any]], engine: str, table: str
) -> None:
    """As many rows, and the same value in each of the loaded columns."""
    answer = answers(engine)[table]
    limit = ENGINES[engine].unreadable.get(table)
    if limit is not None and limit.error:
        assert limit.error in answer.get("error", "it reads the table now")
        return
    assert "error" not in answer, answer["error"]
    case, rows = EXPECTED[table]
    rows = rows if limit is None else limit.rows
    columns = sorted({column for row in rows for column in row})
    read = [{c: row[c] for c in columns} for row in answer["rows"]]
    read_rows, loaded = counted(case, read), counted(case, plain(rows))
    assert not read_rows - loaded, f"not read: {loaded - read_rows}"
    assert not loaded - read_rows


def counted(case: Case, rows: list[Row]) -> Counter[str]:
    """Rows in a comparable form, and how often each is there."""
    pairs = [{c: entries(v) if c in case.maps else v for c, v in row.items()} for row in rows]
    return Counter(json.dumps(row, sort_keys=True) for row in pairs)


def entries(value: Any) -> Any:
    """A map as pairs, which engines show as a mapping, as pairs, or as structs."""
    if isinstance(value, dict):
        value = value.items()
    if value is None:
        return None
    pairs = [list(v.values()) if isinstance(v, dict) else list(v) for v in value]
    return sorted(pairs)


def test_the_page_lists_what_each_engine_reads() -> None:
    """The page on interoperability is what these tests find; `interoperability.page` writes it."""
    assert page.written() == page.PAGE.read_text()
