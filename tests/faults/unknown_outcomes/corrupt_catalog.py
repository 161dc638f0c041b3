"""A SQLite catalog whose responses are lost or wrong, in this process only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException

from faults import loads

if TYPE_CHECKING:
    import threading
    from pathlib import Path

Commit = Callable[[], Any]


class CorruptResponse(OSError):
    """What a driver raises when it lost its server."""


def _before(number: int, commit: Commit) -> Any:
    if number == 1:
        msg = "nothing was sent"
        raise CorruptResponse(msg)
    return commit()


def _after(number: int, commit: Commit) -> Any:
    answer = commit()
    if number == 1:
        msg = "no answer"
        raise CorruptResponse(msg)
    return answer


def _conflict_after(number: int, commit: Commit) -> Any:
    answer = commit()
    if number == 1:
        msg = "sent twice"
        raise CommitFailedException(msg)
    return answer


def _late() -> Callable[[int, Commit], Any]:
    stuck: list[Commit] = []

    def fault(number: int, commit: Commit) -> Any:
        if number == 1:
            stuck.append(commit)
            msg = "on its way"
            raise CorruptResponse(msg)
        answer = commit()
        while stuck:
            late = stuck.pop()
            try:
                late()
            except Exception as rejected:
                print("the late commit was rejected:", rejected)
            else:
                msg = "a late commit was applied beside the one that replaced it"
                raise AssertionError(msg)
        return answer

    return fault


FAULTS: dict[str, Callable[[], Callable[[int, Commit], Any]]] = {
    "before": lambda: _before,
    "after": lambda: _after,
    "conflict after": lambda: _conflict_after,
    "late": _late,
}


def run_with_a_fault(fault: str, table: str, kind: str, namespace: str, folder: Path) -> None:
    """Runs a load whose first commit to a table meets a fault."""
    original = SqlCatalog.commit_table
    spoil = FAULTS[fault]()
    seen = 0

    def commit_table(self: SqlCatalog, committed: Any, *arguments: Any) -> Any:
        nonlocal seen
        if committed.name()[-1] != table:
            return original(self, committed, *arguments)
        seen += 1
        return spoil(seen, lambda: original(self, committed, *arguments))

    setattr(SqlCatalog, "commit_table", commit_table)  # noqa: B010
    loads.run_again(kind, namespace, folder)
    assert seen


def hold_locked(
    database: Path, locked: threading.Event, release: threading.Event, seconds: float
) -> None:
    """Hold the only lock that a SQLite file has, so that no other connection reads or writes."""
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("begin exclusive")
        locked.set()
        release.wait(seconds)
        connection.execute("rollback")
    connection.close()
