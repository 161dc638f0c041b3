"""A process that is killed anywhere in a compaction changes no row."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from servers.stack import movable_sqlite_stack, rest_stack

from faults import compactions
from faults.cases import NAMESPACE, Case
from faults.contents import Contents, read_contents
from faults.kills.kills import AT_ONCE, assert_only_uncommitted_files_are_left

if TYPE_CHECKING:
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS


def kill_and_compact_again(case: Case, boundary: int, before: Contents) -> None:
    victim = case.start(compactions.compact_and_die_at, boundary, case.namespace)
    assert victim.was_killed(), "it ended before the boundary"
    found, still_due = case.start(compactions.read_and_compact, case.namespace).result()
    for after in found:
        assert after.tables == before.tables
        assert after.load_uids == before.load_uids
        assert after.settled
    assert_only_uncommitted_files_are_left(case.stack, found[-1], "compaction")
    assert still_due == 0


def test_a_compaction_killed_at_any_boundary_changes_no_row(tmp_path: Path) -> None:
    """What it leaves are files that the sweep removes, and the next compaction completes it."""
    ground = Case(movable_sqlite_stack(tmp_path / "ground", NAMESPACE))
    ground.start(compactions.load_small_files, ground.namespace, ground.work).result()
    before: Contents = ground.start(read_contents, ground.namespace).result()

    def copy(name: str) -> Case:
        shutil.copytree(tmp_path / "ground", tmp_path / name)
        return Case(movable_sqlite_stack(tmp_path / name, NAMESPACE))

    undisturbed = copy("undisturbed")
    names = undisturbed.start(compactions.list_boundaries, undisturbed.namespace).result()
    assert {"after rewriting", "before a commit of events", "before a commit of users"} <= {*names}
    problems: list[str] = []

    def try_one(number: int) -> None:
        try:
            kill_and_compact_again(copy(str(number)), number, before)
        except AssertionError as error:
            problems.append(f"killed {names[number]} (boundary {number}): {error}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(try_one, range(len(names))))
    assert not problems, "\n".join(problems)


@pytest.mark.rest
def test_a_compaction_killed_on_a_rest_catalog_changes_no_row(
    tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    """One boundary of each name, on a real REST catalog with S3 storage."""

    def new_case(name: str) -> Case:
        (tmp_path / name).mkdir()
        case = Case(rest_stack(seaweedfs, tmp_path / name))
        case.start(compactions.load_small_files, case.namespace, case.work).result()
        return case

    undisturbed = new_case("undisturbed")
    names = undisturbed.start(compactions.list_boundaries, undisturbed.namespace).result()
    chosen = [names.index(name) for name in dict.fromkeys(names)]

    def try_one(number: int) -> None:
        case = new_case(str(number))
        before: Contents = case.start(read_contents, case.namespace).result()
        kill_and_compact_again(case, number, before)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(try_one, chosen))
