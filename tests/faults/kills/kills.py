"""Killing loads, one case for each boundary, and comparing what the next run leaves."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from faults import loads
from faults.cases import Ground
from faults.contents import Contents, read_contents, run_again_and_read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from servers.stack import Stack

AT_ONCE = 3
Directory = Literal["same directory", "none left"]


def assert_only_uncommitted_files_are_left(stack: Stack, after: Contents, kind: str) -> None:
    """No file is missing, and each that nothing refers to belongs to an attempt that never won.

    The orphan sweep lists exactly those.
    """
    stored = {path for where in after.locations for path in stack.list_files(where)}
    data = {path for path in stored if path.endswith(".parquet")}
    assert after.live <= data, f"lost files: {after.live - data}"
    below = tuple(f"{where}/" for where in after.locations)
    swept = {path for path in after.orphans if path.startswith(below)}
    assert swept == data - after.live, f"sweep: {swept ^ (data - after.live)}"
    if kind in ("first", "append", "replace"):
        # A merge may write the rows of a committed file again.
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


def choose_all(names: Sequence[str]) -> Sequence[int]:
    """Choose every boundary."""
    return range(len(names))


def choose_visibly_different(names: Sequence[str]) -> list[int]:
    """Choose the boundaries at which another process can see something else than at the next one.

    From the end of one step to the start of the next one nothing becomes visible. So where the
    working directory is lost as well, kills at both are the same case.
    """
    following = [*names[1:], ""]
    return [
        number
        for number, (name, after) in enumerate(zip(names, following, strict=True))
        if not (name.startswith("after ") and after.startswith("before "))
    ]


def kill_at_each(
    names: Sequence[str], chosen: Sequence[int], kill: Callable[[int], object]
) -> None:
    """Kill at each of the chosen boundaries, a few at once, and report all that went wrong.

    Args:
        names: The names of all boundaries.
        chosen: The numbers of those to kill at.
        kill: Kills at a boundary, in a case of its own, and checks what is left.
    """
    assert chosen
    problems: list[str] = []

    def kill_at(number: int) -> None:
        try:
            kill(number)
        except AssertionError as error:
            problems.append(f"killed {names[number]} (boundary {number}): {error}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(kill_at, chosen))
    assert not problems, f"{len(problems)} of {len(chosen)}:\n" + "\n".join(problems)


def check_kills(
    kind: str,
    directory: Directory,
    folder: Path,
    new_stack: Callable[[Path], Stack] | None = None,
    choose: Callable[[Sequence[str]], Sequence[int]] = choose_all,
) -> None:
    """Kills a load at its boundaries, one case for each, and compares what is left at last.

    Args:
        kind: The kind of load.
        directory: What the next run finds of the working directory.
        folder: Where the cases are.
        new_stack: Makes the stack of each case; None for SQLite catalogs.
        choose: From the boundaries' names the numbers of those to kill at; all of them by default.
    """
    ground = Ground(kind, folder, new_stack)
    ground.lay()
    case = ground.new_case("undisturbed")
    boundaries = case.start(loads.list_boundaries, kind, case.namespace, case.work).result()
    expected: Contents = case.start(read_contents, case.namespace).result()

    def kill(number: int) -> None:
        after = kill_and_run_again(ground, number, directory)
        assert after.tables == expected.tables
        assert after.cursors == expected.cursors
        assert after.settled
        assert len(set(after.load_uids)) == len(after.load_uids)
        assert after.schema_versions == expected.schema_versions

    kill_at_each(boundaries, choose(boundaries), kill)
