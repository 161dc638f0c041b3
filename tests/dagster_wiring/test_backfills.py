import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.remote_asset_graph import RemoteWorkspaceAssetGraph
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._time import get_current_timestamp

from floe_ingestion_defs.destinations.iceberg.catalog import open_catalog

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


@pytest.mark.parametrize(("backfill", "runs"), [("partition", 3), ("range", 1)])
def test_a_backfill_of_the_daemon_loads_every_partition_once(
    shop: dict[str, Any],
    database: sqlite3.Connection,
    tmp_path: Path,
    backfill: str,
    runs: int,
) -> None:
    """As many runs as configured, and the rows of the partitions that were asked for."""
    database.execute("create table visits (id integer, at timestamp)")
    database.executemany(
        "insert into visits values (?, ?)",
        [(n, f"2026-01-{n // 2 + 1:02} {6 + n % 2 * 12:02}:00:00.000000") for n in range(20)],
    )
    database.commit()
    shop.update(
        source_config={"table_names": ["visits"]},
        write_mode="append",
        primary_key=None,
        cursor_field="at",
        orchestration={
            "partitions": {"kind": "daily", "start": "2026-01-01", "backfill": backfill}
        },
    )
    location = tmp_path / "location.py"
    location.write_text(LOCATION.format(source=json.dumps(shop)))
    in_this_process = {
        "run_launcher": {
            "module": "dagster._core.launcher.sync_in_memory_run_launcher",
            "class": "SyncInMemoryRunLauncher",
        },
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "DefaultRunCoordinator",
        },
    }
    target = PythonFileTarget(str(location), None, None, "location")

    with (
        dg.instance_for_test(overrides=in_this_process) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        graph = workspace.create_request_context().asset_graph
        assert isinstance(graph, RemoteWorkspaceAssetGraph)
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                asset_graph=graph,
                backfill_id="visits",
                tags={},
                backfill_timestamp=get_current_timestamp(),
                asset_selection=[dg.AssetKey("ingestion__shop__visits")],
                partition_names=["2026-01-02", "2026-01-03", "2026-01-04"],
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        )
        for _ in range(10):
            list(execute_backfill_iteration(workspace, logging.getLogger("backfill")))
            done = instance.get_backfill("visits")
            if done is not None and done.status != BulkActionStatus.REQUESTED:
                break
        statuses = [run.status for run in instance.get_runs()]

    assert statuses == [dg.DagsterRunStatus.SUCCESS] * runs
    rows = open_catalog().load_table("bronze.shop_visits").scan().to_arrow()
    assert sorted(rows["id"].to_pylist()) == [2, 3, 4, 5, 6, 7]
