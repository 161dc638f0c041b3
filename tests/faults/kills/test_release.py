"""A release that is killed anywhere moves each row to the quarantine table exactly once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Literal

import pytest
from servers.stack import movable_sqlite_stack, rest_stack

from faults import loads, releases
from faults.cases import NAMESPACE, Case
from faults.kills.kills import (
    assert_only_uncommitted_files_are_left,
    choose_visibly_different,
    kill_at_each,
)
from faults.races import races

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS

Beside = Literal["alone", "beside loads"]
PUBLISHED, RELEASED = [1, 2], [3, 4, 5]


def block(case: Case) -> Case:
    """Commit a load and change its table, so that it cannot be published and blocks the table."""
    case.start(loads.run_before, "append", case.namespace, case.work).result()
    committed = f"after a commit of {case.stack.log}"
    died = case.start(loads.run_and_die_when, committed, "append", case.namespace, case.work)
    assert died.was_killed()
    case.start(releases.spoil, case.namespace).result()
    opened = case.start(races.open_under, None, case.namespace, case.stack.folder / "opening")
    opened.result()
    assert "cannot be published" in opened.tail()
    return case


def kill_and_release_again(case: Case, boundary: int, beside: Beside) -> None:
    gate = case.stack.folder / "gate"
    reader = case.start(releases.read_all_the_time, gate, case.namespace)
    victim = case.start(releases.release_and_die_at, boundary, case.namespace)
    if beside == "beside loads":
        folder = case.stack.folder / "other"
        case.start(loads.run_before, "replace", case.namespace, folder).result()
    assert victim.was_killed() or beside == "beside loads", "it ended before the boundary"
    found, moved = case.start(releases.release_and_read, case.namespace).result()
    gate.touch()
    assert moved == 0
    assert found.settled
    assert sorted(row["id"] for row in found.tables[releases.TABLE]) == PUBLISHED
    assert sorted(row["id"] for row in found.tables[releases.QUARANTINE]) == RELEASED
    assert ("countries" in found.tables) == (beside == "beside loads")
    assert_only_uncommitted_files_are_left(case.stack, found, "release")
    for ids in reader.result():
        assert ids in ((PUBLISHED, []), (PUBLISHED, RELEASED))


def check_kills(new_case: Callable[[str], Case], beside: Beside) -> None:
    """Kill a release at its boundaries, one case for each, and release the table again."""
    undisturbed = new_case("undisturbed")
    names = undisturbed.start(releases.list_boundaries, undisturbed.namespace).result()
    log = undisturbed.stack.log
    assert {f"after a commit of {table}" for table in (log, "events", releases.QUARANTINE)} <= {
        *names
    }

    def kill(number: int) -> None:
        kill_and_release_again(new_case(str(number)), number, beside)

    kill_at_each(names, choose_visibly_different(names), kill)


@pytest.mark.parametrize(
    "beside", ["alone", pytest.param("beside loads", marks=pytest.mark.all_cases)]
)
def test_a_release_killed_at_any_boundary_moves_each_row_once(
    beside: Beside, tmp_path: Path
) -> None:
    """No read fails, or has a part of the rows; the next release completes it."""
    block(Case(movable_sqlite_stack(tmp_path / "ground", NAMESPACE)))

    def new_case(name: str) -> Case:
        shutil.copytree(tmp_path / "ground", tmp_path / name)
        return Case(movable_sqlite_stack(tmp_path / name, NAMESPACE))

    check_kills(new_case, beside)


@pytest.mark.rest
@pytest.mark.all_cases
@pytest.mark.parametrize("beside", ["alone", "beside loads"])
def test_a_release_killed_on_a_rest_catalog_moves_each_row_once(
    beside: Beside, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    def new_case(name: str) -> Case:
        folder = tmp_path / name
        folder.mkdir()
        return block(Case(rest_stack(seaweedfs, folder)))

    check_kills(new_case, beside)
