"""Backfills as Dagster's daemon runs them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from backfills import create_visits, running_daemon, status_of, submit, write_location
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from faults.forked_runs import ForkedRunLauncher
from faults.processes import TESTS, start_warm_process

from floe_ingestion_defs.destinations import open_catalog

pytestmark = pytest.mark.slow

VISITS = "ingestion__shop__visits"
POOL = "ingestion__shop"
SLOTS = 4
DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]
ROWS_A_DAY = 200


@pytest.fixture
def visits(shop: dict[str, Any], database: sqlite3.Connection) -> dict[str, Any]:
    """A source of the shop's visits by the day, to be appended."""
    create_visits(database, DAYS, ROWS_A_DAY)
    return {
        **shop,
        "source_config": {"table_names": ["visits"]},
        "write_mode": "append",
        "primary_key": None,
        "cursor_field": "at",
    }


@contextmanager
def daemon_of(
    visits: dict[str, Any],
    folder: Path,
    backfill: str,
    launcher: tuple[str, str],
    **checks: Any,
) -> Iterator[WorkspaceProcessContext]:
    """Start the daemon of a location in which a backfill is run as configured."""
    partitions = {"kind": "daily", "start": DAYS[0], "backfill": backfill}
    location = folder / "location.py"
    orchestration = {"partitions": partitions, "checks": checks}
    write_location(location, {**visits, "orchestration": orchestration})
    with running_daemon(location, launcher) as workspace:
        yield workspace


def loaded_ids() -> list[int]:
    rows = open_catalog().load_table("bronze.shop_visits").scan().to_arrow()
    return sorted(rows["id"].to_pylist())


def test_a_backfill_of_a_range_is_one_run_of_the_daemon(
    visits: dict[str, Any], tmp_path: Path
) -> None:
    """As configured, and of the rows of the requested partitions, each of which has its checks."""
    launcher = ("dagster._core.launcher.sync_in_memory_run_launcher", "SyncInMemoryRunLauncher")
    early = {"early": f"id < {2 * ROWS_A_DAY}"}
    with daemon_of(visits, tmp_path, "range", launcher, expression=early) as workspace:
        submit(workspace, "visits", VISITS, DAYS[1:4])

        assert [run.status for run in workspace.instance.get_runs()] == [
            dg.DagsterRunStatus.SUCCESS
        ]
        assert status_of(workspace, "visits") == BulkActionStatus.COMPLETED_SUCCESS
        key = dg.AssetCheckKey(dg.AssetKey(VISITS), "early")
        storage = workspace.instance.event_log_storage
        checked = storage.get_asset_check_execution_history(key, limit=10)
        assert {
            record.partition: record.status.value for record in checked if record.partition
        } == {
            DAYS[1]: "SUCCEEDED",
            DAYS[2]: "FAILED",
            DAYS[3]: "FAILED",
        }
    assert loaded_ids() == list(range(ROWS_A_DAY, 4 * ROWS_A_DAY))


def test_ten_partitions_at_once_on_a_pool_end_with_every_row_once(
    visits: dict[str, Any],
    database: sqlite3.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each in a process of its own, as many at a time as the pool has slots.

    Run again, those of which the source has fewer rows by now, or none, leave just these.
    """
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    start_warm_process("floe_ingestion_defs.dagster_wiring", "faults.forked_runs")
    launcher = ("faults.forked_runs", "ForkedRunLauncher")
    with daemon_of(visits, tmp_path, "partition", launcher) as workspace:
        instance = workspace.instance
        assert isinstance(instance.run_launcher, ForkedRunLauncher)
        instance.event_log_storage.set_concurrency_slots(POOL, SLOTS)

        submit(workspace, "all", VISITS, DAYS)

        children = instance.run_launcher.children
        assert [child.result() for child in children] == [True] * len(DAYS)
        assert status_of(workspace, "all") == BulkActionStatus.COMPLETED_SUCCESS
        assert loaded_ids() == list(range(len(DAYS) * ROWS_A_DAY))
        assert most_at_once(instance) <= SLOTS

        database.execute("delete from visits where id % 2 and date(at) = ?", (DAYS[2],))
        database.execute("delete from visits where date(at) = ?", (DAYS[5],))
        database.commit()
        submit(workspace, "again", VISITS, [DAYS[2], DAYS[5]])

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
