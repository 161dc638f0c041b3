"""Readers see one snapshot, however long they read, and however often the table changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faults.boundaries import wait_for
from faults.cases import Case
from faults.races import long_reads

if TYPE_CHECKING:
    from servers.stack import Stack

ROUNDS = 3
CHANGED = set(range(0, long_reads.ROWS, 4))


def version_of_all(number: int) -> long_reads.Read:
    """The rows after so many merges, of which each changes the same rows."""
    return [(n, f"v{number if n in CHANGED else 0}") for n in range(long_reads.ROWS)]


def test_readers_never_notice_merges_and_compactions(stack: Stack) -> None:
    """A read that began before them ends with the rows it began with; others have one version."""
    case = Case(stack)
    work = stack.folder / "work"
    case.start(long_reads.load_version, "v0", "append", case.namespace, work).result()
    slow_gate, gate = stack.folder / "slow", stack.folder / "gate"
    slow = case.start(long_reads.read_slowly, slow_gate, case.namespace)
    others = case.start(long_reads.read_all_the_time, gate, case.namespace)
    wait_for(Path(f"{slow_gate}.reached"))
    case.start(long_reads.change_all_the_time, ROUNDS, case.namespace, work).result()
    slow_gate.touch()
    gate.touch()
    for rows in slow.result():
        assert sorted(rows) == version_of_all(0)
    versions = [version_of_all(number) for number in range(ROUNDS + 1)]
    assert all(rows in versions for rows in others.result())
