"""A process that is killed anywhere in the maintenance of a dataset changes no row."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from servers.stack import movable_sqlite_stack, rest_stack

from faults import maintenance
from faults.cases import NAMESPACE, Case
from faults.contents import Contents, read_contents
from faults.kills.kills import (
    assert_only_uncommitted_files_are_left,
    choose_all,
    choose_visibly_different,
    kill_at_each,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS

    Choice = Callable[[Sequence[str]], Sequence[int]]

EXPECTED: dict[maintenance.Kind, set[str]] = {
    "compaction": {
        "after rewriting",
        "before a commit of events",
        "before a commit of users",
    },
    "expiry": {
        "before a commit of countries",
        "before a commit of users",
        "before deleting a file",
    },
    "rewrite of manifests": {"before a commit of events", "before a commit of users"},
    "sweep": {"before deleting a file"},
}


def choose_few_deletions(names: Sequence[str]) -> list[int]:
    """Choose every boundary of a commit, and the first and the middle one of the deletions."""
    deletions = [number for number, name in enumerate(names) if "deleting a file" in name]
    others = [number for number in range(len(names)) if number not in deletions]
    return [*others, *([deletions[0], deletions[len(deletions) // 2]] if deletions else [])]


def choose_one_of_each_name(names: Sequence[str]) -> list[int]:
    """Choose the first boundary of each name."""
    return [names.index(name) for name in dict.fromkeys(names)]


def choose_after_the_first_commit(names: Sequence[str]) -> list[int]:
    """Choose the boundary at which one table is maintained and the others are not."""
    return [next(n for n, name in enumerate(names) if name.startswith("after a commit"))]


def kill_and_maintain_again(
    case: Case, kind: maintenance.Kind, boundary: int, before: Contents
) -> None:
    victim = case.start(maintenance.maintain_and_die_at, boundary, kind, case.namespace)
    assert victim.was_killed(), "it ended before the boundary"
    found, missing, still_due = case.start(
        maintenance.read_and_maintain, kind, case.namespace
    ).result()
    for after in found:
        assert after.tables == before.tables
        assert len(after.load_uids) == len(before.load_uids)
        assert after.load_uids == found[0].load_uids
        assert after.settled
    assert not missing
    assert_only_uncommitted_files_are_left(case.stack, found[-1], kind)
    assert not found[-1].orphans
    assert still_due == 0


def check_kills(kind: maintenance.Kind, new_case: Callable[[str], Case], choose: Choice) -> None:
    """Kill maintenance at its boundaries, one case for each, and complete it in another process.

    Args:
        kind: What is done.
        new_case: Makes a catalog, by a name, in which there is something to do.
        choose: From the boundaries' names the numbers of those to kill at.
    """
    undisturbed = new_case("undisturbed")
    before: Contents = undisturbed.start(read_contents, undisturbed.namespace).result()
    names = undisturbed.start(maintenance.list_boundaries, kind, undisturbed.namespace).result()
    assert EXPECTED[kind] <= {*names}

    def kill(number: int) -> None:
        kill_and_maintain_again(new_case(str(number)), kind, number, before)

    kill_at_each(names, choose(names), kill)


@pytest.mark.parametrize(
    ("kind", "choose"),
    [
        *((kind, choose_few_deletions) for kind in EXPECTED),
        *(
            pytest.param(kind, choose_all, marks=pytest.mark.all_cases)
            for kind in ("expiry", "sweep")
        ),
    ],
)
def test_maintenance_killed_at_any_boundary_changes_no_row(
    kind: maintenance.Kind, choose: Choice, tmp_path: Path
) -> None:
    """What it leaves are files that the sweep removes, and the next one completes it."""
    ground = Case(movable_sqlite_stack(tmp_path / "ground", NAMESPACE))
    ground.start(maintenance.PREPARATIONS[kind], ground.namespace, ground.work).result()

    def new_case(name: str) -> Case:
        shutil.copytree(tmp_path / "ground", tmp_path / name)
        return Case(movable_sqlite_stack(tmp_path / name, NAMESPACE))

    check_kills(kind, new_case, choose)


@pytest.mark.rest
@pytest.mark.parametrize(
    ("kind", "choose"),
    [
        ("compaction", choose_one_of_each_name),
        ("expiry", choose_after_the_first_commit),
        ("rewrite of manifests", choose_after_the_first_commit),
        *(
            pytest.param(kind, choose_visibly_different, marks=pytest.mark.all_cases)
            for kind in EXPECTED
        ),
    ],
)
def test_maintenance_killed_on_a_rest_catalog_changes_no_row(
    kind: maintenance.Kind, choose: Choice, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    """The same on a real REST catalog with S3 storage."""

    def new_case(name: str) -> Case:
        folder = tmp_path / name
        folder.mkdir()
        case = Case(rest_stack(seaweedfs, folder))
        case.start(maintenance.PREPARATIONS[kind], case.namespace, case.work).result()
        return case

    check_kills(kind, new_case, choose)
