"""A rejected load leaves nothing behind, in Iceberg or in a working directory that is kept.

A package that stayed pending would be loaded first by every later run, and rejected each time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.stack import sqlite_stack

from faults.boundaries import wait_for
from faults.cases import Case
from faults.rejections import rejected_loads


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(sqlite_stack(tmp_path))


def test_after_a_failed_audit_the_next_run_extracts_again(case: Case) -> None:
    """The bad rows are gone with their cursor, and the repaired ones come."""
    child = case.start(rejected_loads.fail_an_audit_and_run_again, case.namespace, case.work)
    pending, ids = child.result()
    assert not pending
    assert ids == [1, 2, 3, 4]


@pytest.mark.parametrize("rows_before", [[], [1, 2]], ids=["first load", "later load"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_dies_as_its_load_is_rejected_keeps_no_cursor(
    case: Case, moment: str, rows_before: list[int]
) -> None:
    """The rejected rows come with the next run, in every state of the package."""
    name = f"{moment} aborting the package"
    arguments = (case.namespace, case.work)
    victim = case.start(rejected_loads.fail_an_audit_and_die, *arguments, rows_before, name)
    assert victim.was_killed()
    assert case.start(rejected_loads.run_mended, *arguments).result() == [1, 2, 3, 4]


def test_after_a_state_conflict_the_next_run_continues_from_the_newer_cursor(
    case: Case, tmp_path: Path
) -> None:
    """Two runs extracted the same rows: the second to commit gives its rows up."""
    gate = tmp_path / "gate"
    late = case.start(rejected_loads.lose_a_race_and_run_again, case.namespace, case.work, gate)
    wait_for(Path(f"{gate}.reached"))
    case.start(rejected_loads.run_ahead, case.namespace, tmp_path / "other").result()
    gate.touch()
    pending, ids = late.result()
    assert not pending
    assert ids == [1, 2, 3, 4]
