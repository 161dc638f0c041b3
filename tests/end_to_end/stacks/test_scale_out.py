"""A partitioned backfill over several worker processes, two of which are killed on the way."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.remote_asset_graph import RemoteWorkspaceAssetGraph
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._time import get_current_timestamp
from faults.boundaries import wait_for
from faults.processes import TESTS

from floe_ingestion_defs.destinations import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dagster._core.workspace.context import WorkspaceProcessContext
    from servers.stack import Stack

DAYS = [f"2026-01-0{day}" for day in range(1, 4)]
ROWS_A_DAY = 500
LOCATION = """
import json
from pathlib import Path

import dagster as dg
from end_to_end.stacks.victims import offer_victims

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

defs = dg.Definitions.merge(
    build_ingestion_definitions(DltIngestionPlugin({{"sources": [json.loads({source!r})]}})),
    dg.Definitions(executor=dg.in_process_executor),
)
offer_victims({boundaries!r}, Path({folder!r}))
"""
# Runs start as soon as they are launched, each in a process of its own.
INSTANCE = {
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "DefaultRunCoordinator",
    },
    "run_launcher": {"module": "dagster._core.launcher", "class": "DefaultRunLauncher"},
}


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
        connection.execute("create table visits (id integer, at timestamp)")
        connection.executemany(
            "insert into visits values (?, ?)",
            [
                (n, f"{day} {n % 24:02}:00:00.000000")
                for number, day in enumerate(DAYS)
                for n in range(number * ROWS_A_DAY, (number + 1) * ROWS_A_DAY)
            ],
        )
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
    file.write_text(
        LOCATION.format(source=json.dumps(source), boundaries=boundaries, folder=str(workers))
    )
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return file


@pytest.fixture
def workspace(location: Path, workers: Path) -> Iterator[WorkspaceProcessContext]:
    """What the daemon works with: an instance, and a code server that launches the runs."""
    target = PythonFileTarget(str(location), None, None, "location")
    with (
        dg.instance_for_test(overrides=INSTANCE) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        try:
            yield workspace
        finally:
            kill_victims(workers)


def kill_victims(workers: Path) -> None:
    """Kills the workers that wait for it, and are not dead yet."""
    for victim in workers.glob("victim-?"):
        with suppress(ProcessLookupError):
            os.kill(int(victim.read_text()), signal.SIGKILL)


def submit(workspace: WorkspaceProcessContext, backfill_id: str, partitions: list[str]) -> None:
    """Submits a backfill, and lets the daemon launch its runs."""
    graph = workspace.create_request_context().asset_graph
    assert isinstance(graph, RemoteWorkspaceAssetGraph)
    workspace.instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            asset_graph=graph,
            backfill_id=backfill_id,
            tags={},
            backfill_timestamp=get_current_timestamp(),
            asset_selection=[dg.AssetKey("ingestion__visits__visits")],
            partition_names=partitions,
            dynamic_partitions_store=workspace.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )

    def launched() -> bool:
        list(execute_backfill_iteration(workspace, logging.getLogger("backfill")))
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
    submit(workspace, "all", DAYS)
    for victim in ("victim-0", "victim-1"):
        wait_for(workers / victim, seconds=150)
    kill_victims(workers)
    runs = finished(workspace, "all")
    failed = sorted(day for day, run in runs.items() if run.status is dg.DagsterRunStatus.FAILURE)
    assert len(failed) == 2
    assert sum(run.is_success for run in runs.values()) == len(DAYS) - 2

    submit(workspace, "again", failed)
    assert all(run.is_success for run in finished(workspace, "again").values())
    list(execute_backfill_iteration(workspace, logging.getLogger("backfill")))
    backfill = workspace.instance.get_backfill("again")
    assert backfill is not None
    assert backfill.status is BulkActionStatus.COMPLETED_SUCCESS

    assert len(list(workers.glob("worker-*"))) == len(DAYS) + len(failed)
    rows = stack.catalog().load_table((stack.namespace, "visits")).scan().to_arrow()
    assert sorted(rows["id"].to_pylist()) == list(range(len(DAYS) * ROWS_A_DAY))
    view = Dataset(stack.catalog(), stack.namespace).log.read()
    assert view is not None
    assert view.last_seq == len(DAYS) + 1  # Of the victims, one had committed.
