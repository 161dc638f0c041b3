"""A process that is killed anywhere in an expiry changes no row, and loses no file."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from servers.stack import movable_sqlite_stack, rest_stack

from faults import expiries, maintenance
from faults.cases import NAMESPACE, Case
from faults.contents import Contents, read_contents
from faults.kills.kills import AT_ONCE, assert_only_uncommitted_files_are_left

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS


def kill_and_expire_again(case: Case, boundary: int, before: Contents) -> None:
    victim = case.start(maintenance.maintain_and_die_at, boundary, "expiry", case.namespace)
    assert victim.was_killed(), "it ended before the boundary"
    found, missing, still_due = case.start(expiries.read_and_expire, case.namespace).result()
    for after in found:
        assert after.tables == before.tables
        assert after.load_uids == before.load_uids
        assert after.settled
    assert not missing
    assert_only_uncommitted_files_are_left(case.stack, found[-1], "expiry")
    assert not found[-1].orphans
    assert still_due == 0


def choose(names: Sequence[str]) -> list[int]:
    """Choose every boundary of a commit, and the first and the middle one of the deletions."""
    deletions = [number for number, name in enumerate(names) if "deleting" in name]
    others = [number for number in range(len(names)) if number not in deletions]
    return [*others, deletions[0], deletions[len(deletions) // 2]]


def test_an_expiry_killed_at_any_boundary_changes_no_row(tmp_path: Path) -> None:
    """What it leaves are files that the sweep removes, and the next expiry completes it."""
    ground = Case(movable_sqlite_stack(tmp_path / "ground", NAMESPACE))
    ground.start(expiries.load_snapshots, ground.namespace, ground.work).result()
    before: Contents = ground.start(read_contents, ground.namespace).result()

    def copy(name: str) -> Case:
        shutil.copytree(tmp_path / "ground", tmp_path / name)
        return Case(movable_sqlite_stack(tmp_path / name, NAMESPACE))

    undisturbed = copy("undisturbed")
    names = undisturbed.start(maintenance.list_boundaries, "expiry", undisturbed.namespace).result()
    expected = {
        "before a commit of countries",
        "before a commit of users",
        "before deleting a file",
    }
    assert expected <= {*names}
    problems: list[str] = []

    def try_one(number: int) -> None:
        try:
            kill_and_expire_again(copy(str(number)), number, before)
        except AssertionError as error:
            problems.append(f"killed {names[number]} (boundary {number}): {error}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(try_one, choose(names)))
    assert not problems, "\n".join(problems)


@pytest.mark.rest
def test_an_expiry_killed_on_a_rest_catalog_changes_no_row(
    tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    """After its first commit, on a real REST catalog with S3 storage."""
    case = Case(rest_stack(seaweedfs, tmp_path))
    case.start(expiries.load_snapshots, case.namespace, case.work).result()
    before: Contents = case.start(read_contents, case.namespace).result()
    kill_and_expire_again(case, 1, before)
