"""A merge-on-read that is killed, beside loads or alone, is there whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from servers.stack import rest_stack, sqlite_stack

from faults.cases import Case
from faults.kills.kills import choose_visibly_different
from faults.races import long_reads, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS
    from servers.stack import Stack

    from faults.processes import Child

Beside = Literal["alone", "beside loads"]
# What a merge-on-read adds to the boundaries of a load: the log has it, and it is not published,
# or not wholly.
NAMES = ("after deleting in place", "before a commit of events", "after a commit of events")


def check_kills_of_merges(stack: Stack, beside: Beside, names: Sequence[str] = ()) -> None:
    """Kill merges while another process loads into the same table, and readers read on.

    Args:
        stack: The catalog.
        beside: Whether the load runs at the same time as the merge, or before it.
        names: The boundaries to kill at; by default all of a merge, by their numbers.
    """
    case = Case(stack)
    work = stack.folder / "work"

    def load(version: int) -> None:
        disposition = "merge" if version else "append"
        arguments = (f"v{version}", disposition, case.namespace, work)
        case.start(long_reads.load_version, *arguments).result()

    def start_merge(boundary: str | int, number: int) -> Child:
        die = pairs.merge_and_die_at if isinstance(boundary, int) else pairs.merge_and_die_when
        return case.start(die, boundary, number, case.namespace, work)

    load(0)
    passed = case.start(pairs.list_boundaries, 0, case.namespace, work).result()
    assert {*NAMES} <= {*passed}
    gate = stack.folder / "gate"
    reader = case.start(long_reads.read_all_the_time, gate, case.namespace)
    chosen: Sequence[str | int] = names or choose_visibly_different(passed)
    killed: list[str | int] = []
    for number, boundary in enumerate(chosen, 1):
        if beside == "alone":
            load(number)
        victim = start_merge(boundary, number)
        if beside == "beside loads":
            load(number)
        if victim.was_killed():
            killed.append(boundary)
    # Of loads that overlap, the last one records for all that they are published.
    published = len(passed) - passed[::-1].index("after a commit of events")
    required = [each for each in chosen if isinstance(each, str) or each < published]
    assert killed[: len(required)] == required
    # Publishes what the last one has left.
    load(len(chosen) + 1)
    gate.touch()
    merges = case.start(pairs.committed_merges, case.namespace).result()
    assert 0 < len(merges) <= len(chosen) or names
    last = case.start(long_reads.read_once, case.namespace).result()
    assert last == pairs.after_merges(len(chosen) + 1, merges)
    # Each read is of a point in the log: so many loads, and the merges before them.
    points = [
        pairs.after_merges(version, [each for each in merges if each <= newest])
        for version in range(len(chosen) + 2)
        for newest in (version - 1, version, version + 1)
    ]
    read = reader.result()
    assert len(read) > 1
    assert all(rows in points for rows in read)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("beside", "names"),
    [
        ("beside loads", NAMES),
        pytest.param("beside loads", (), marks=pytest.mark.all_cases),
        pytest.param("alone", (), marks=pytest.mark.all_cases),
    ],
)
def test_a_merge_killed_beside_loads_is_published_whole_or_not_at_all(
    beside: Beside, names: tuple[str, ...], tmp_path: Path
) -> None:
    """No read ever has one of its two rows, and the log's merges are in the table once."""
    check_kills_of_merges(sqlite_stack(tmp_path), beside, names)


@pytest.mark.rest
@pytest.mark.all_cases
@pytest.mark.timeout(900)
@pytest.mark.parametrize("beside", ["beside loads", "alone"])
def test_a_merge_killed_beside_loads_on_a_rest_catalog_is_published_whole_or_not_at_all(
    beside: Beside, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    check_kills_of_merges(rest_stack(seaweedfs, tmp_path), beside)
