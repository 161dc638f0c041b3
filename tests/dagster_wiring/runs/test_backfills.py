"""Backfills as Dagster's daemon runs them."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.remote_asset_graph import RemoteWorkspaceAssetGraph
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._time import get_current_timestamp
from faults.forked_runs import ForkedRunLauncher
from faults.processes import TESTS, start_warm_process

from floe_ingestion_defs.destinations import open_catalog

pytestmark = pytest.mark.slow

VISITS = dg.AssetKey("ingestion__shop__visits")
POOL = "ingestion__shop"
SLOTS = 4
DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]
ROWS_A_DAY = 200
LOCATION = """
import json

import dagster as dg

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

defs = dg.Definitions.merge(
    build_ingestion_definitions(DltIngestionPlugin({{"sources": [json.loads({source!r})]}})),
    dg.Definitions(executor=dg.in_process_executor),
)
"""


@pytest.fixture
def location(shop: dict[str, Any], database: sqlite3.Connection, tmp_path: Path) -> Path:
    """The shop's visits by the day, to be appended; how a backfill is run is to be filled in."""
    database.execute("create table visits (id integer, at timestamp)")
    database.executemany(
        "insert into visits values (?, ?)",
        [
            (day * ROWS_A_DAY + n, f"{DAYS[day]} {n % 24:02}:00:00.000000")
            for day in range(len(DAYS))
            for n in range(ROWS_A_DAY)
        ],
    )
    database.commit()
    shop.update(
        source_config={"table_names": ["visits"]},
        write_mode="append",
        primary_key=None,
        cursor_field="at",
    )
    return tmp_path / "location.py"


@contextmanager
def running_daemon(
    location: Path, shop: dict[str, Any], backfill: str, launcher: tuple[str, str]
) -> Iterator[WorkspaceProcessContext]:
    """What the daemon works with: an instance, and a code server of the location."""
    partitions = {"kind": "daily", "start": DAYS[0], "backfill": backfill}
    source = {**shop, "orchestration": {"partitions": partitions}}
    location.write_text(LOCATION.format(source=json.dumps(source)))
    overrides = {
        "run_launcher": {"module": launcher[0], "class": launcher[1]},
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "DefaultRunCoordinator",
        },
    }
    target = PythonFileTarget(str(location), None, None, "location")
    with (
        dg.instance_for_test(overrides=overrides) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        yield workspace


def launch(workspace: WorkspaceProcessContext, name: str, days: list[str]) -> None:
    """Submit a backfill, and let the daemon launch its runs."""
    graph = workspace.create_request_context().asset_graph
    assert isinstance(graph, RemoteWorkspaceAssetGraph)
    workspace.instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            asset_graph=graph,
            backfill_id=name,
            tags={},
            backfill_timestamp=get_current_timestamp(),
            asset_selection=[VISITS],
            partition_names=days,
            dynamic_partitions_store=workspace.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    look_after(workspace)


def look_after(workspace: WorkspaceProcessContext) -> None:
    """One round of the daemon."""
    list(execute_backfill_iteration(workspace, logging.getLogger("backfill")))


def status_of(workspace: WorkspaceProcessContext, name: str) -> BulkActionStatus:
    look_after(workspace)
    backfill = workspace.instance.get_backfill(name)
    assert backfill is not None
    return backfill.status


def loaded_ids() -> list[int]:
    rows = open_catalog().load_table("bronze.shop_visits").scan().to_arrow()
    return sorted(rows["id"].to_pylist())


def test_a_backfill_of_a_range_is_one_run_of_the_daemon(
    shop: dict[str, Any], location: Path
) -> None:
    """As configured, and of the rows of the partitions that were asked for."""
    launcher = ("dagster._core.launcher.sync_in_memory_run_launcher", "SyncInMemoryRunLauncher")
    with running_daemon(location, shop, "range", launcher) as workspace:
        launch(workspace, "visits", DAYS[1:4])

        assert [run.status for run in workspace.instance.get_runs()] == [
            dg.DagsterRunStatus.SUCCESS
        ]
        assert status_of(workspace, "visits") == BulkActionStatus.COMPLETED_SUCCESS
    assert loaded_ids() == list(range(ROWS_A_DAY, 4 * ROWS_A_DAY))


def test_ten_partitions_at_once_on_a_pool_end_with_every_row_once(
    shop: dict[str, Any],
    database: sqlite3.Connection,
    location: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each in a process of its own, as many at a time as the pool has slots.

    Run again, those of which the source has fewer rows by now, or none, leave just these.
    """
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    start_warm_process("floe_ingestion_defs.dagster_wiring", "faults.forked_runs")
    launcher = ("faults.forked_runs", "ForkedRunLauncher")
    with running_daemon(location, shop, "partition", launcher) as workspace:
        instance = workspace.instance
        assert isinstance(instance.run_launcher, ForkedRunLauncher)
        instance.event_log_storage.set_concurrency_slots(POOL, SLOTS)

        launch(workspace, "all", DAYS)

        children = instance.run_launcher.children
        assert [child.result() for child in children] == [True] * len(DAYS)
        assert status_of(workspace, "all") == BulkActionStatus.COMPLETED_SUCCESS
        assert loaded_ids() == list(range(len(DAYS) * ROWS_A_DAY))
        assert most_at_once(instance) <= SLOTS

        database.execute("delete from visits where id % 2 and date(at) = ?", (DAYS[2],))
        database.execute("delete from visits where date(at) = ?", (DAYS[5],))
        database.commit()
        launch(workspace, "again", [DAYS[2], DAYS[5]])

        assert [child.result() for child in children[len(DAYS) :]] == [True, True]
        assert status_of(workspace, "again") == BulkActionStatus.COMPLETED_SUCCESS
    left = [
        n
        for n in range(len(DAYS) * ROWS_A_DAY)
        if n // ROWS_A_DAY != 5 and not (n // ROWS_A_DAY == 2 and n % 2)
    ]
    assert loaded_ids() == left


def most_at_once(instance: dg.DagsterInstance) -> int:
    """How many loads ran at the same time, at most."""
    changes = []
    for run in instance.get_runs():
        for kind, change in (("STEP_START", 1), ("STEP_SUCCESS", -1)):
            entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType[kind])
            changes += [
                (entry.timestamp, change) for entry in entries if entry.step_key == "load_shop"
            ]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most
