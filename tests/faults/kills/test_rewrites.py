"""A process that is killed anywhere while it rewrites files of a table changes no row."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from servers.stack import movable_sqlite_stack, rest_stack

from faults import compactions, maintenance
from faults.cases import NAMESPACE, Case
from faults.contents import Contents, read_contents
from faults.kills.kills import AT_ONCE, assert_only_uncommitted_files_are_left

if TYPE_CHECKING:
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS

COMMITS = {"before a commit of events", "before a commit of users"}
REWRITES: list[tuple[maintenance.Kind, set[str]]] = [
    ("compaction", {"after rewriting", *COMMITS}),
    ("rewrite of manifests", COMMITS),
]


def kill_and_rewrite_again(
    case: Case, kind: maintenance.Kind, boundary: int, before: Contents
) -> None:
    victim = case.start(maintenance.maintain_and_die_at, boundary, kind, case.namespace)
    assert victim.was_killed(), "it ended before the boundary"
    found, still_due = case.start(maintenance.read_and_maintain, kind, case.namespace).result()
    for after in found:
        assert after.tables == before.tables
        assert after.load_uids == before.load_uids
        assert after.settled
    assert_only_uncommitted_files_are_left(case.stack, found[-1], kind)
    assert still_due == 0


@pytest.mark.parametrize(("kind", "expected"), REWRITES)
def test_a_rewrite_killed_at_any_boundary_changes_no_row(
    kind: maintenance.Kind, expected: set[str], tmp_path: Path
) -> None:
    """What it leaves are files that the sweep removes, and the next one completes it."""
    ground = Case(movable_sqlite_stack(tmp_path / "ground", NAMESPACE))
    ground.start(compactions.load_small_files, ground.namespace, ground.work).result()
    before: Contents = ground.start(read_contents, ground.namespace).result()

    def copy(name: str) -> Case:
        shutil.copytree(tmp_path / "ground", tmp_path / name)
        return Case(movable_sqlite_stack(tmp_path / name, NAMESPACE))

    undisturbed = copy("undisturbed")
    names = undisturbed.start(maintenance.list_boundaries, kind, undisturbed.namespace).result()
    assert expected <= {*names}
    problems: list[str] = []

    def try_one(number: int) -> None:
        try:
            kill_and_rewrite_again(copy(str(number)), kind, number, before)
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
    undisturbed = new_rest_case(tmp_path / "undisturbed", seaweedfs)
    names = undisturbed.start(
        maintenance.list_boundaries, "compaction", undisturbed.namespace
    ).result()
    chosen = [names.index(name) for name in dict.fromkeys(names)]

    def try_one(number: int) -> None:
        case = new_rest_case(tmp_path / str(number), seaweedfs)
        before: Contents = case.start(read_contents, case.namespace).result()
        kill_and_rewrite_again(case, "compaction", number, before)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(try_one, chosen))


@pytest.mark.rest
def test_a_rewrite_of_manifests_killed_on_a_rest_catalog_changes_no_row(
    tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    """After its first commit."""
    case = new_rest_case(tmp_path / "killed", seaweedfs)
    before: Contents = case.start(read_contents, case.namespace).result()
    kill_and_rewrite_again(case, "rewrite of manifests", 1, before)


def new_rest_case(folder: Path, seaweedfs: SeaweedFS) -> Case:
    folder.mkdir()
    case = Case(rest_stack(seaweedfs, folder))
    case.start(compactions.load_small_files, case.namespace, case.work).result()
    return case
