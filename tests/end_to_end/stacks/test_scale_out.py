"""A partitioned backfill over several worker processes, two of which are killed on the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from backfills import (
    create_visits,
    run_daemon_once,
    running_daemon,
    status_of,
    submit,
    write_location,
)
from dagster._core.execution.backfill import BulkActionStatus
from faults.boundaries import wait_for
from faults.processes import TESTS

from floe_ingestion_defs.destinations import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dagster._core.workspace.context import WorkspaceProcessContext
    from servers.stack import Stack

VISITS = "ingestion__visits__visits"
DAYS = [f"2026-01-0{day}" for day in range(1, 4)]
ROWS_A_DAY = 500
# Makes a worker die at each of the boundaries.
OFFER_VICTIMS = """
from pathlib import Path

from end_to_end.stacks.victims import offer_victims

offer_victims({boundaries!r}, Path({folder!r}))
"""


@pytest.fixture
def workers(tmp_path: Path) -> Path:
    """Where the workers leave their process ids."""
    folder = tmp_path / "workers"
    folder.mkdir()
    return folder


@pytest.fixture
def location(stack: Stack, workers: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A code location with visits by the day, whose table is appended to."""
    database = stack.folder / "shop.db"
    with sqlite3.connect(database) as connection:
        create_visits(connection, DAYS, ROWS_A_DAY)
    connection.close()
    source = {
        "name": "visits",
        "source_type": "sql_database",
        "source_config": {"table_names": ["visits"]},
        "credentials": f"sqlite:///{database}",
        "destination_table": f"{stack.namespace}.visits",
        "write_mode": "append",
        "cursor_field": "at",
        "orchestration": {"partitions": {"kind": "daily", "start": DAYS[0]}},
    }
    boundaries = [f"before a commit of {stack.log}", f"after a commit of {stack.log}"]
    file = stack.folder / "location.py"
    victims = OFFER_VICTIMS.format(boundaries=boundaries, folder=str(workers))
    write_location(file, source, victims)
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return file


@pytest.fixture
def workspace(location: Path, workers: Path) -> Iterator[WorkspaceProcessContext]:
    """The daemon's, with a code server that launches each run in a process of its own."""
    launcher = ("dagster._core.launcher", "DefaultRunLauncher")
    with running_daemon(location, launcher) as workspace:
        try:
            yield workspace
        finally:
            kill_victims(workers)


def kill_victims(workers: Path) -> None:
    """Kills the workers that wait for it, and are not dead yet."""
    for victim in workers.glob("victim-?"):
        with suppress(ProcessLookupError):
            os.kill(int(victim.read_text()), signal.SIGKILL)


def launch(workspace: WorkspaceProcessContext, backfill_id: str, partitions: list[str]) -> None:
    """Submits a backfill, and lets the daemon launch its runs."""
    submit(workspace, backfill_id, VISITS, partitions)

    def launched() -> bool:
        run_daemon_once(workspace)
        return len(runs_of(workspace, backfill_id)) == len(partitions)

    wait_until(launched)


def runs_of(workspace: WorkspaceProcessContext, backfill_id: str) -> dict[str, dg.DagsterRun]:
    """A backfill's runs, by their partitions."""
    filters = dg.RunsFilter(tags={"dagster/backfill": backfill_id})
    runs = workspace.instance.get_runs(filters)
    # A run of one partition has it as a range, for it could take several.
    return {run.tags["dagster/asset_partition_range_start"]: run for run in runs}


def finished(workspace: WorkspaceProcessContext, backfill_id: str) -> dict[str, dg.DagsterRun]:
    """A backfill's runs, once all have ended."""

    def ended() -> bool:
        return all(run.is_finished for run in runs_of(workspace, backfill_id).values())

    wait_until(ended)
    return runs_of(workspace, backfill_id)


def wait_until(look: Callable[[], bool], seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


@pytest.mark.parametrize("stack", [pytest.param("rest", marks=pytest.mark.rest)], indirect=True)
@pytest.mark.timeout(600)
def test_a_backfill_whose_workers_are_killed_loads_every_row_once(
    stack: Stack, workspace: WorkspaceProcessContext, workers: Path
) -> None:
    """One dies before its commit and one after it; their partitions are run again."""
    launch(workspace, "all", DAYS)
    for victim in ("victim-0", "victim-1"):
        wait_for(workers / victim, seconds=150)
    kill_victims(workers)
    runs = finished(workspace, "all")
    failed = sorted(day for day, run in runs.items() if run.status is dg.DagsterRunStatus.FAILURE)
    assert len(failed) == 2
    assert sum(run.is_success for run in runs.values()) == len(DAYS) - 2

    launch(workspace, "again", failed)
    assert all(run.is_success for run in finished(workspace, "again").values())
    assert status_of(workspace, "again") is BulkActionStatus.COMPLETED_SUCCESS

    assert len(list(workers.glob("worker-*"))) == len(DAYS) + len(failed)
    rows = stack.catalog().load_table((stack.namespace, "visits")).scan().to_arrow()
    assert sorted(rows["id"].to_pylist()) == list(range(len(DAYS) * ROWS_A_DAY))
    view = Dataset(stack.catalog(), stack.namespace).log.read()
    assert view is not None
    assert view.last_seq == len(DAYS) + 1  # Of the victims, one had committed.
