"""A process that is killed anywhere in a load leaves no duplicate, no loss and no half table."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest
from servers.seaweedfs import SeaweedFS
from servers.stack import Stack

from faults import loads
from faults.cases import Ground
from faults.contents import Contents, read_contents, run_again_and_read

AT_ONCE = 3
KINDS = [kind for kind in loads.LOADS if kind != "compacted"]
Directory = Literal["same directory", "none left"]


def assert_only_uncommitted_files_are_left(stack: Stack, after: Contents, kind: str) -> None:
    """No file is missing, and each that nothing refers to belongs to an attempt that never won.

    The orphan sweep lists exactly those.
    """
    stored = {path for where in after.locations for path in stack.list_files(where)}
    data = {path for path in stored if path.endswith(".parquet")}
    assert after.live <= data, f"lost files: {after.live - data}"
    swept = {path for path in after.orphans if path.startswith(tuple(after.locations))}
    assert swept == data - after.live, f"sweep: {swept ^ (data - after.live)}"
    if kind in ("first", "append", "replace"):
        # A merge may write the rows of a committed file anew.
        unused = (data - after.live) & after.committed
        assert not unused, f"committed and not published: {unused}"


def kill_and_run_again(ground: Ground, boundary: int, directory: Directory) -> Contents:
    """Kills a load at a boundary and lets another process run the pipeline."""
    case = ground.new_case(str(boundary))
    victim = case.start(loads.run_and_die_at, boundary, ground.kind, case.namespace, case.work)
    assert victim.was_killed(), "it ended before the boundary"
    if directory == "none left":
        shutil.rmtree(case.work)
    after: Contents = case.start(
        run_again_and_read, ground.kind, case.namespace, case.work
    ).result()
    assert_only_uncommitted_files_are_left(case.stack, after, ground.kind)
    return after


def check_every_kill(
    kind: str,
    directory: Directory,
    folder: Path,
    server: SeaweedFS | None = None,
    every: int = 1,
    after: str | None = None,
) -> None:
    """Kills a load at its boundaries, one case for each, and compares what is left at last.

    Args:
        kind: The kind of load.
        directory: What the next run finds of the working directory.
        folder: Where the cases are.
        server: A REST catalog, None for SQLite.
        every: Only every so many boundaries.
        after: Only those past the last of this name.
    """
    ground = Ground(kind, folder, server)
    ground.lay()
    case = ground.new_case("undisturbed")
    boundaries = case.start(loads.list_boundaries, kind, case.namespace, case.work).result()
    expected: Contents = case.start(read_contents, case.namespace).result()
    first = len(boundaries) - boundaries[::-1].index(after) if after else 0
    problems: list[str] = []

    def try_one(number: int) -> None:
        try:
            after = kill_and_run_again(ground, number, directory)
            assert after.tables == expected.tables
            assert after.cursors == expected.cursors
            assert after.settled
            assert len(set(after.load_uids)) == len(after.load_uids)
            assert after.schema_versions == expected.schema_versions
        except AssertionError as error:
            problems.append(f"killed {boundaries[number]} (boundary {number}): {error}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(try_one, range(first, len(boundaries), every)))
    assert not problems, f"{len(problems)} of {len(boundaries)}:\n" + "\n".join(problems)


@pytest.mark.parametrize("directory", ["same directory", "none left"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_load_killed_at_any_boundary_is_loaded_exactly_once(
    kind: str, directory: Directory, tmp_path: Path
) -> None:
    """After a kill anywhere, the next run leaves what a run that was never killed leaves."""
    check_every_kill(kind, directory, tmp_path)


def test_a_process_killed_while_it_compacts_the_log_harms_nothing(tmp_path: Path) -> None:
    """The log is rewritten in one commit: it is the old one or the new one, and says the same."""
    check_every_kill("compacted", "none left", tmp_path, after="after a commit of events")


@pytest.mark.rest
@pytest.mark.parametrize("directory", ["same directory", "none left"])
@pytest.mark.parametrize(
    "kind",
    [
        kind if kind == "merge" else pytest.param(kind, marks=pytest.mark.all_cases)
        for kind in KINDS
    ],
)
def test_a_load_killed_on_a_rest_catalog_is_loaded_exactly_once(
    kind: str,
    directory: Directory,
    tmp_path: Path,
    seaweedfs: SeaweedFS,
    request: pytest.FixtureRequest,
) -> None:
    """The same on a real REST catalog with S3 storage."""
    chosen = request.node.get_closest_marker("all_cases") is None
    check_every_kill(kind, directory, tmp_path, seaweedfs, every=4 if chosen else 1)
