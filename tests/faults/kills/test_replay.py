"""A replay that is killed anywhere, or overtaken, loads each quarantined row exactly once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.stack import movable_sqlite_stack

from faults import replays
from faults.boundaries import wait_for
from faults.cases import NAMESPACE, Case
from faults.contents import Contents, read_contents
from faults.kills.kills import (
    assert_only_uncommitted_files_are_left,
    choose_visibly_different,
    kill_at_each,
)

New = Callable[[str], Case]


@pytest.fixture(scope="module")
def new_case(tmp_path_factory: pytest.TempPathFactory) -> New:
    """Makes catalogs with quarantined rows, of which two fit after the cause was repaired."""
    folder = tmp_path_factory.mktemp("replay")
    ground = Case(movable_sqlite_stack(folder / "ground", NAMESPACE))
    ground.start(replays.load_rejected, NAMESPACE).result()

    def new_case(name: str) -> Case:
        shutil.copytree(folder / "ground", folder / name)
        return Case(movable_sqlite_stack(folder / name, NAMESPACE))

    return new_case


def read(case: Case) -> Contents:
    found: Contents = case.start(read_contents, NAMESPACE).result()
    assert found.settled
    return found


def test_a_replay_killed_at_any_boundary_loads_each_row_exactly_once(new_case: New) -> None:
    undisturbed = new_case("undisturbed")
    names = undisturbed.start(replays.list_boundaries, NAMESPACE).result()
    assert {"after a commit of _dlt_loads", "after a commit of items__rejected"} <= {*names}
    expected = read(undisturbed)
    assert sorted(row["id"] for row in expected.tables["items"]) == [1, 2, 4]
    assert len(expected.tables["items__rejected"]) == 1

    def kill(number: int) -> None:
        case = new_case(str(number))
        victim = case.start(replays.replay_and_die_at, number, NAMESPACE)
        assert victim.was_killed(), "it ended before the boundary"
        case.start(replays.replay, NAMESPACE).result()
        after = read(case)
        assert after.tables == expected.tables
        assert_only_uncommitted_files_are_left(case.stack, after, "replay")

    kill_at_each(names, choose_visibly_different(names), kill)


@pytest.mark.parametrize(
    ("other", "ids", "quarantined"),
    [
        (replays.load_later, [1, 2, 4, 5], 2),
        (replays.replay, [1, 2, 4], 1),
        (replays.refresh, [1, 2, 4, 5], 2),
    ],
    ids=["load", "replay", "refresh"],
)
def test_a_replay_that_another_load_overtakes_reads_the_rows_again(
    other: Callable[[str], object], ids: list[int], quarantined: int, new_case: New
) -> None:
    """A load of another run between its reading and its commit is a conflict."""
    case = new_case(f"overtaken-{other.__name__}")
    gate = case.stack.folder / "gate"
    held = case.start(replays.replay_held, "before a commit of _dlt_loads", gate, NAMESPACE)
    wait_for(Path(f"{gate}.reached"))
    case.start(other, NAMESPACE).result()
    gate.touch()
    held.result()
    found = read(case)
    assert sorted(row["id"] for row in found.tables["items"]) == ids
    assert len(found.tables["items__rejected"]) == quarantined
