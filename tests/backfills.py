"""Backfills as Dagster's daemon runs them: visits by the day, their location, and the daemon."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.assets.graph.remote_asset_graph import RemoteWorkspaceAssetGraph
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._time import get_current_timestamp

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dagster._core.workspace.context import WorkspaceProcessContext

_LOCATION = """
import json

import dagster as dg

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

defs = dg.Definitions.merge(
    build_ingestion_definitions(DltIngestionPlugin({{"sources": [json.loads({source!r})]}})),
    dg.Definitions(executor=dg.in_process_executor),
)
"""


def create_visits(database: sqlite3.Connection, days: Sequence[str], rows_a_day: int) -> None:
    """Create the table `visits`, with the same number of rows on each day and ids in order."""
    database.execute("create table visits (id integer, at timestamp)")
    database.executemany(
        "insert into visits values (?, ?)",
        [
            (day * rows_a_day + n, f"{days[day]} {n % 24:02}:00:00.000000")
            for day in range(len(days))
            for n in range(rows_a_day)
        ],
    )
    database.commit()


def write_location(file: Path, source: Mapping[str, Any], further_code: str = "") -> None:
    """Write a code location of one source, whose steps run in the process of their run."""
    file.write_text(_LOCATION.format(source=json.dumps(source)) + further_code)


@contextmanager
def running_daemon(location: Path, launcher: tuple[str, str]) -> Iterator[WorkspaceProcessContext]:
    """Start what the daemon works with: an instance, and a code server of the location.

    Runs start as soon as they are launched, by the class of a module.
    """
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


def submit(
    workspace: WorkspaceProcessContext, name: str, asset: str, partitions: list[str]
) -> None:
    """Submit a backfill, and let the daemon launch its runs."""
    graph = workspace.create_request_context().asset_graph
    assert isinstance(graph, RemoteWorkspaceAssetGraph)
    workspace.instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            asset_graph=graph,
            backfill_id=name,
            tags={},
            backfill_timestamp=get_current_timestamp(),
            asset_selection=[dg.AssetKey(asset)],
            partition_names=partitions,
            dynamic_partitions_store=workspace.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    run_daemon_once(workspace)


def run_daemon_once(workspace: WorkspaceProcessContext) -> None:
    """Let the daemon look at all backfills once."""
    list(execute_backfill_iteration(workspace, logging.getLogger("backfill")))


def status_of(workspace: WorkspaceProcessContext, name: str) -> BulkActionStatus:
    """Return the status of a backfill, after the daemon has looked at it."""
    run_daemon_once(workspace)
    backfill = workspace.instance.get_backfill(name)
    assert backfill is not None
    return backfill.status
