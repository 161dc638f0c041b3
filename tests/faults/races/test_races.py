"""Loads that overtake each other, or complete what another one left."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.stack import Stack, sqlite_stack

from faults import loads
from faults.boundaries import wait_for
from faults.cases import Case
from faults.contents import Contents, read_contents
from faults.races import races

AFTER_COMMIT = "after a commit of _dlt_loads"
BEFORE_COMMIT = "before a commit of _dlt_loads"
BEFORE_PUBLISHING = "before a commit of events"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(sqlite_stack(tmp_path))


def in_log(stack: Stack, boundary: str) -> str:
    """A boundary's name on a catalog that names the log otherwise."""
    return boundary.replace("_dlt_loads", stack.log)


def contents(case: Case) -> Contents:
    found: Contents = case.start(read_contents, case.namespace).result()
    assert found.settled
    assert len(set(found.load_uids)) == len(found.load_uids)
    return found


def ids(found: Contents, table: str = "events") -> list[int]:
    return sorted(row["id"] for row in found.tables[table])


def test_two_recoverers_at_once_publish_a_load_once(stack: Stack) -> None:
    """Both compute the same commit, one of them wins, and the other finds it done."""
    case = Case(stack)
    case.start(loads.run_before, "three tables", case.namespace, case.work).result()
    boundary = in_log(stack, AFTER_COMMIT)
    died = case.start(loads.run_and_die_when, boundary, "three tables", case.namespace, case.work)
    assert died.was_killed()
    gate = stack.folder / "gate"
    openers = [
        case.start(
            races.open_held, BEFORE_PUBLISHING, gate, case.namespace, stack.folder / f"opener-{n}"
        )
        for n in range(2)
    ]
    wait_for(Path(f"{gate}.reached"))
    gate.touch()
    for opener in openers:
        opener.result()
    assert ids(contents(case)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("append", "replace", [21, 22]), ("replace", "append", [11, 12, 21, 22])],
)
def test_a_load_that_was_killed_after_its_commit_comes_before_the_next_one(
    first: str, second: str, expected: list[int], stack: Stack
) -> None:
    """A replace and an append, each by a process of its own, take effect in the log's order."""
    case = Case(stack)
    base = [{"id": 1}, {"id": 2}]
    case.start(races.load_rows, "base", base, "append", case.namespace, case.work).result()
    killed = case.start(
        races.load_rows_and_die,
        in_log(stack, AFTER_COMMIT),
        "first",
        [{"id": 11}, {"id": 12}],
        first,
        case.namespace,
        stack.folder / "first",
    )
    assert killed.was_killed()
    case.start(
        races.load_rows,
        "second",
        [{"id": 21}, {"id": 22}],
        second,
        case.namespace,
        stack.folder / "second",
    ).result()
    assert ids(contents(case)) == expected


@pytest.mark.parametrize("disposition", ["append", "replace", "merge"])
@pytest.mark.parametrize("boundary", [BEFORE_COMMIT, BEFORE_PUBLISHING])
def test_a_process_that_slept_commits_after_others_have(
    boundary: str, disposition: str, case: Case, tmp_path: Path
) -> None:
    """What it computed before it slept is not applied to what the others made of the table."""
    base = [{"id": 1, "by": "base"}]
    case.start(races.load_rows, "base", base, "append", case.namespace, case.work).result()
    gate = tmp_path / "gate"
    rows = [{"id": 1, "by": "sleeper"}, {"id": 2, "by": "sleeper"}]
    sleeper = case.start(
        races.load_rows_held,
        boundary,
        gate,
        "sleeper",
        rows,
        disposition,
        case.namespace,
        tmp_path / "sleeper",
    )
    wait_for(Path(f"{gate}.reached"))
    for number in range(3, 6):
        row = [{"id": number, "by": "other"}]
        case.start(
            races.load_rows, f"other_{number}", row, "merge", case.namespace, tmp_path / f"{number}"
        ).result()
    gate.touch()
    assert sleeper.result() == ""
    found = contents(case)
    by = sorted((row["id"], row["by"]) for row in found.tables["events"])
    others = [(3, "other"), (4, "other"), (5, "other")]
    late = boundary == BEFORE_COMMIT
    assert (
        by
        == {
            "append": [(1, "base"), (1, "sleeper"), (2, "sleeper"), *others],
            "replace": [(1, "sleeper"), (2, "sleeper"), *([] if late else others)],
            "merge": [(1, "sleeper"), (2, "sleeper"), *others],
        }[disposition]
    )


def test_a_load_whose_columns_no_longer_fit_is_rejected_and_blocks_nothing(
    case: Case, tmp_path: Path
) -> None:
    """Two first loads bring a column in two types: the second is rejected before its commit."""
    gate = tmp_path / "gate"
    late = case.start(
        races.load_rows_held,
        BEFORE_COMMIT,
        gate,
        "late",
        [{"id": 1, "value": True}],
        "append",
        case.namespace,
        case.work,
    )
    wait_for(Path(f"{gate}.reached"))
    case.start(
        races.load_rows,
        "early",
        [{"id": 2, "value": "text"}],
        "append",
        case.namespace,
        tmp_path / "early",
    ).result()
    gate.touch()
    assert late.result() == "IncompatibleSchema"
    found = contents(case)
    assert found.tables["events"] == [{"id": 2, "value": "text"}]
    assert len(found.load_uids) == 1


def test_nested_rows_are_published_with_their_root_by_another_load(
    case: Case, tmp_path: Path
) -> None:
    """A load that touches a root alone publishes an earlier one's nested rows before the root."""
    base = [{"id": 1, "tags": [{"tag": "old"}]}, {"id": 2, "tags": [{"tag": "kept"}]}]
    case.start(races.load_rows, "base", base, "merge", case.namespace, case.work).result()
    killed = case.start(
        races.load_rows_and_die,
        AFTER_COMMIT,
        "merger",
        [{"id": 1, "tags": [{"tag": "new"}]}],
        "merge",
        case.namespace,
        tmp_path / "merger",
    )
    assert killed.was_killed()
    case.start(
        races.load_rows, "appender", [{"id": 3}], "append", case.namespace, tmp_path / "appender"
    ).result()
    found = contents(case)
    assert ids(found) == [1, 2, 3]
    tags = sorted((row["tag"], row["parent"]) for row in found.tables["events__tags"])
    assert tags == [("kept", 2), ("new", 1)]


def test_two_loads_with_the_same_load_id_are_two_loads(case: Case, tmp_path: Path) -> None:
    """A load id is a timestamp; what tells loads apart is made for each."""
    for name in ("one", "other"):
        case.start(
            races.load_rows_with_load_id, "1700000000.5", name, case.namespace, tmp_path / name
        ).result()
    found = contents(case)
    assert sorted(row["by"] for row in found.tables["events"]) == ["one", "other"]
    rows = case.start(races.rows_of, case.namespace, "_dlt_loads").result()
    assert [row["load_id"] for row in rows] == ["1700000000.5"] * 2


def test_a_table_dropped_between_commit_and_publish_is_created_again(case: Case) -> None:
    """It holds the load that was committed, and none of those that were dropped with it."""
    case.start(loads.run_before, "append", case.namespace, case.work).result()
    died = case.start(loads.run_and_die_when, AFTER_COMMIT, "append", case.namespace, case.work)
    assert died.was_killed()
    case.start(races.drop_table, case.namespace, "events").result()
    case.start(loads.run_again, "append", case.namespace, case.work).result()
    found = contents(case)
    assert ids(found) == [3, 4, 5]
    assert found.cursors == {"events.id": 5}


def test_a_table_dropped_after_its_loads_were_settled_stays_dropped(case: Case) -> None:
    """A user who drops a table to reload it does not get its old rows back."""
    case.start(loads.run_before, "three tables", case.namespace, case.work).result()
    case.start(races.drop_table, case.namespace, "users").result()
    case.start(races.open_under, None, case.namespace, case.work).result()
    found = case.start(read_contents, case.namespace).result()
    assert sorted(found.tables) == ["countries", "events", "users__tags"]


def test_a_table_changed_incompatibly_after_the_commit_is_blocked_alone_until_it_is_released(
    case: Case, tmp_path: Path
) -> None:
    """The other tables are published; the rows are not lost; every run says so until then."""
    case.start(loads.run_before, "three tables", case.namespace, case.work).result()
    died = case.start(
        loads.run_and_die_when, AFTER_COMMIT, "three tables", case.namespace, case.work
    )
    assert died.was_killed()
    case.start(races.make_otherwise, case.namespace, "events", "what").result()
    resumed = case.start(races.load_what_is_pending, case.namespace, case.work)
    assert resumed.wait() == 1
    assert "TableBlocked" in resumed.tail()
    for opening in range(2):
        opened = case.start(races.open_under, None, case.namespace, tmp_path / f"{opening}")
        opened.result()
        assert "cannot be published" in opened.tail()
    found: Contents = case.start(read_contents, case.namespace).result()
    assert not found.settled
    assert found.tables["countries"] == [{"code": "x"}, {"code": "y"}]
    assert ids(found, "users") == [1, 2, 3, 4]
    assert ids(found) == []
    assert case.start(races.release, case.namespace, "events").result() == 3
    found = contents(case)
    assert ids(found) == []
    assert ids(found, "events____blocked") == [3, 4, 5]


def test_a_blocked_nested_table_blocks_its_root(case: Case, tmp_path: Path) -> None:
    """What leaves it is decided by the root's rows as they were before."""
    case.start(loads.run_before, "merge", case.namespace, case.work).result()
    died = case.start(loads.run_and_die_when, AFTER_COMMIT, "merge", case.namespace, case.work)
    assert died.was_killed()
    case.start(races.make_otherwise, case.namespace, "users__tags", "tag").result()
    opened = case.start(races.open_under, None, case.namespace, tmp_path / "opening")
    opened.result()
    assert "cannot be published" in opened.tail()
    found: Contents = case.start(read_contents, case.namespace).result()
    assert ids(found, "users") == [1, 2, 3]
    assert case.start(races.release, case.namespace, "users__tags").result() == 4
    assert ids(contents(case), "users") == [1, 2, 3, 4]


def test_a_deleted_staged_file_blocks_its_table_alone(case: Case, tmp_path: Path) -> None:
    """Opening the dataset reports it, and all other tables are loaded."""
    case.start(loads.run_before, "three tables", case.namespace, case.work).result()
    died = case.start(
        loads.run_and_die_when, AFTER_COMMIT, "three tables", case.namespace, case.work
    )
    assert died.was_killed()
    case.start(races.delete_staged_files, case.namespace, "events").result()
    opened = case.start(races.open_under, None, case.namespace, tmp_path / "opening")
    opened.result()
    assert "cannot be published to" in opened.tail()
    found: Contents = case.start(read_contents, case.namespace).result()
    assert not found.settled
    assert ids(found) == [1, 2]
    assert found.tables["countries"] == [{"code": "x"}, {"code": "y"}]
    assert ids(found, "users") == [1, 2, 3, 4]
    releasing = case.start(races.release, case.namespace, "events")
    assert releasing.result() == 0
    assert "3 rows of events are lost, because" in releasing.tail()
    assert ids(contents(case)) == [1, 2]


@pytest.mark.parametrize("when", ["staging", "publishing"])
def test_a_disk_that_is_full_ends_the_load_and_the_next_run_loads_it(when: str, case: Case) -> None:
    """No file may grow: nothing is half there, and with space again the load is there once."""
    case.start(races.merge_big, 0, races.BIG_ROWS, case.namespace, case.work).result()
    before = case.start(races.rows_of, case.namespace, "events").result()
    count = races.BIG_ROWS if when == "staging" else 2
    rows = races.big_rows(races.BIG_ROWS - 1, count)
    error, pending = case.start(
        races.load_until_the_disk_is_full, when, rows, case.namespace, case.work
    ).result()
    assert "File too large" in error
    assert pending
    assert case.start(races.rows_of, case.namespace, "events").result() == before
    case.start(races.load_what_is_pending, case.namespace, case.work).result()
    found = contents(case)
    assert ids(found) == list(range(races.BIG_ROWS - 1 + count))
    noise = {row["id"]: row["noise"] for row in found.tables["events"]}
    assert all(noise[row["id"]] == row["noise"] for row in rows)
    assert len(found.load_uids) == 2
