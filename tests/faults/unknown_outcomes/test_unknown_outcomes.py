"""A commit whose outcome is unknown is resolved by reading again.

On the REST catalog a real proxy corrupts the responses; on SQLite the catalog is wrapped in the
child process.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from servers.proxy import Commit, Fault, Proxy, Reply, rejection, running_proxy
from servers.stack import rest_stack, sqlite_stack

from faults import loads
from faults.cases import Case
from faults.contents import Contents, read_contents
from faults.unknown_outcomes import corrupt_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS

# What one commit to a table meets; the tables are a first load's log and data.
TABLES = ["loads", "events"]


def answer_500_before(commit: Commit) -> Reply | None:
    """The gateway failed; the catalog never saw the request."""
    return rejection(500, "InternalServerError") if commit.number == 1 else commit.forward()


def answer_500_after(commit: Commit) -> Reply | None:
    """The catalog applied it, and the answer was lost."""
    reply = commit.forward()
    return rejection(500, "InternalServerError") if commit.number == 1 else reply


def answer_409_after(commit: Commit) -> Reply | None:
    """A gateway sent the request twice, and passed on the answer to the second."""
    reply = commit.forward()
    return rejection(409, "CommitFailedException") if commit.number == 1 else reply


def break_connection_before(commit: Commit) -> Reply | None:
    """The connection broke before the catalog saw the request."""
    return None if commit.number == 1 else commit.forward()


def break_connection_after(commit: Commit) -> Reply | None:
    """The connection broke after the catalog applied it."""
    reply = commit.forward()
    return None if commit.number == 1 else reply


def applied_late() -> Fault:
    """The first request is stuck on its way, and arrives after the second was answered."""
    stuck: list[Commit] = []

    def fault(commit: Commit) -> Reply | None:
        if commit.number == 1:
            stuck.append(commit)
            return rejection(504, "GatewayTimeout")
        reply = commit.forward()
        while stuck:
            status, _, _ = stuck.pop().forward()
            assert status >= 400, "a late commit was applied beside the one that replaced it"
        return reply

    return fault


def applied_while_asking_again() -> Fault:
    """The first request arrives just before the second, which then asserts an old head."""
    stuck: list[Commit] = []

    def fault(commit: Commit) -> Reply | None:
        if commit.number == 1:
            stuck.append(commit)
            return rejection(504, "GatewayTimeout")
        while stuck:
            status, _, _ = stuck.pop().forward()
            assert status < 300
        return commit.forward()

    return fault


FAULTS: dict[str, Callable[[], Fault]] = {
    "500 before": lambda: answer_500_before,
    "500 after": lambda: answer_500_after,
    "409 after": lambda: answer_409_after,
    "broken before": lambda: break_connection_before,
    "broken after": lambda: break_connection_after,
    "late": applied_late,
    "late, before the second": applied_while_asking_again,
}

# The others differ from these in what pyiceberg raises, and are alike from there on.
CHOSEN = ("500 after", "409 after", "late")


def assert_loaded_once(contents: Contents, rows: int) -> None:
    """The rows are there once, and the log names the load once."""
    assert [row["id"] for row in contents.tables["events"]] == list(range(1, rows + 1))
    assert contents.settled
    assert len(contents.load_uids) == len(set(contents.load_uids))
    assert contents.cursors == {"events.id": rows}


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[Proxy]:
    with running_proxy(seaweedfs.catalog_uri) as proxy:
        yield proxy


@pytest.mark.rest
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "fault",
    [f if f in CHOSEN else pytest.param(f, marks=pytest.mark.all_cases) for f in FAULTS],
)
def test_a_corrupt_response_of_a_rest_catalog_is_settled(
    fault: str, table: str, proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    """A first load, which creates its tables, and a second that appends: each is loaded once."""
    name = "dlt_loads" if table == "loads" else table
    case = Case(rest_stack(seaweedfs, tmp_path, proxy.uri))
    for kind, rows in (("first", 4), ("append", 5)):
        proxy.commits.clear()
        proxy.faults[name] = FAULTS[fault]()
        child = case.start(loads.run_again, kind, case.namespace, case.work)
        child.result()
        assert proxy.commits[name] >= 1
        contents: Contents = case.start(read_contents, case.namespace).result()
        assert_loaded_once(contents, rows)
        assert len(contents.load_uids) == (1 if kind == "first" else 2)


@pytest.mark.rest
def test_an_unavailable_catalog_ends_the_run_and_the_next_one_loads(
    proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    """The run gives up with the catalog's error; its package stays, and is loaded once."""
    case = Case(rest_stack(seaweedfs, tmp_path, proxy.uri))
    proxy.faults["dlt_loads"] = lambda commit: rejection(503, "ServiceUnavailable")
    child = case.start(loads.run_again, "first", case.namespace, case.work)
    assert child.wait() == 1
    assert "ServiceUnavailable" in child.tail()
    proxy.faults.clear()
    case.start(loads.run_again, "first", case.namespace, case.work).result()
    contents: Contents = case.start(read_contents, case.namespace).result()
    assert_loaded_once(contents, 4)
    assert len(contents.load_uids) == 1


@pytest.mark.parametrize("table", ["_dlt_loads", "events"])
@pytest.mark.parametrize("fault", corrupt_catalog.FAULTS)
def test_a_corrupt_response_of_a_sqlite_catalog_is_settled(
    fault: str, table: str, tmp_path: Path
) -> None:
    """The same on the embedded catalog."""
    case = Case(sqlite_stack(tmp_path))
    for kind, rows in (("first", 4), ("append", 5)):
        case.start(
            corrupt_catalog.run_with_a_fault, fault, table, kind, case.namespace, case.work
        ).result()
        contents: Contents = case.start(read_contents, case.namespace).result()
        assert_loaded_once(contents, rows)
        assert len(contents.load_uids) == (1 if kind == "first" else 2)


def test_the_sqlite_catalog_locked_by_another_connection_delays_a_load(tmp_path: Path) -> None:
    """SQLite makes a writer wait; a load that cannot wait any longer is loaded by the next run."""
    case = Case(sqlite_stack(tmp_path))
    case.start(loads.run_again, "first", case.namespace, case.work).result()
    locked, release = threading.Event(), threading.Event()
    database = tmp_path / "floe" / "catalog.db"
    thread = threading.Thread(
        target=corrupt_catalog.hold_locked, args=(database, locked, release, 12.0)
    )
    thread.start()
    assert locked.wait(10)
    code = case.start(loads.run_again, "append", case.namespace, case.work).wait()
    release.set()
    thread.join()
    if code:
        case.start(loads.run_again, "append", case.namespace, case.work).result()
    contents: Contents = case.start(read_contents, case.namespace).result()
    assert_loaded_once(contents, 5)
    assert len(contents.load_uids) == 2
