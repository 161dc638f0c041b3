"""Loads that are killed and loads that overlap, in processes of their own, on each stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from faults.kills.kills import check_kills
from faults.parallel import Work, ids, run_together
from servers.stack import Stack

NewStack = Callable[[Path], Stack]
SERVERS = ["postgres", pytest.param("rest", marks=pytest.mark.rest), "postgres_s3"]


@pytest.mark.parametrize("stack", SERVERS, indirect=True)
def test_a_load_killed_around_its_commit_and_between_tables_is_loaded_once(
    stack: Stack, new_stack: NewStack, tmp_path: Path
) -> None:
    """Staged and not committed, committed and not published, published to one of its tables.

    The embedded catalog has each of its boundaries in `faults/kills/test_kills.py`.
    """
    wanted = [
        f"before a commit of {stack.log}",
        f"after a commit of {stack.log}",
        "after a commit of events",
    ]

    def around_the_commit(names: Sequence[str]) -> list[int]:
        return [names.index(name) for name in wanted]

    check_kills("three tables", "none left", tmp_path, new_stack, around_the_commit)


@pytest.mark.all_cases
@pytest.mark.parametrize("stack", ["postgres", "postgres_s3"], indirect=True)
@pytest.mark.parametrize("directory", ["same directory", "none left"])
def test_a_load_killed_at_any_boundary_is_loaded_once(
    directory: Any, stack: Stack, new_stack: NewStack, tmp_path: Path
) -> None:
    """On the catalogs that the tests of faults leave out."""
    check_kills("three tables", directory, tmp_path, new_stack)


def test_runs_that_overlap_load_each_row_once(stack: Stack) -> None:
    """Two of one pipeline and two of others that merge into one table, started at the same time."""
    works = [Work("shop", "events", 1, 20)] * 2
    works += [Work(f"merger_{n}", "users", 5 * n + 1, 5 * n + 10, merge=True) for n in range(2)]
    contents, runs, _ = run_together(stack, works)
    assert ids(contents, "events") == list(range(1, 21))
    assert ids(contents, "users") == list(range(1, 16))
    assert contents.cursors["events.id"] == 20
    assert min(runs[:2]) == 1
    assert runs[2:] == [1, 1]
