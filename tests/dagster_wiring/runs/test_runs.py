import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

Load = Callable[..., dg.ExecuteInProcessResult]

ORDERS = dg.AssetKey("ingestion__shop__orders")


@pytest.fixture
def locked(
    database: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> sqlite3.Connection:
    """A database that another process keeps locked, which is a transient error."""
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{tmp_path / 'shop.db'}?timeout=0.1")
    database.execute("begin exclusive")
    return database


def failure_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    return {name: value.value for name, value in data.metadata.items()}


def test_dagster_retries_if_configured_instead_of_the_plugin(
    load: Load,
    shop: dict[str, Any],
    locked: sqlite3.Connection,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Two kinds of retries would multiply: here are three attempts, not twelve."""
    shop["orchestration"] = {"retries": {"max_retries": 2, "delay_seconds": 0}}

    result = load(raise_on_error=False)

    retried = [event for event in result.all_events if event.is_step_up_for_retry]
    assert not result.success
    assert len(retried) == 2
    assert failure_of(result)["category"] == "TRANSIENT"
    assert "".join(capfd.readouterr()).count("load failed") == 3


def test_a_permanent_error_is_not_retried(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """A missing table is a permanent error."""
    shop["orchestration"] = {"retries": {"max_retries": 2, "delay_seconds": 0}}
    database.execute("drop table customers")
    database.commit()

    result = load(raise_on_error=False)

    assert [event for event in result.all_events if event.is_step_up_for_retry] == []
    assert failure_of(result)["category"] == "CONFIGURATION"


def test_a_refresh_from_the_launchpad_loads_everything_again(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Without it only new rows are loaded; with it, the whole source."""
    shop.update(write_mode="append", primary_key=None)
    load()
    database.execute("delete from orders where id = 1")
    database.commit()

    again = load(run_config={"ops": {"load_shop": {"config": {"refresh": True}}}})

    (orders,) = [
        event.materialization.metadata
        for event in again.get_asset_materialization_events()
        if event.asset_key == ORDERS
    ]
    assert orders["rows_loaded"].value == 2
    assert orders["dagster/row_count"].value == 2


def test_a_limit_from_the_launchpad_loads_a_few_rows(
    load: Load, database: sqlite3.Connection
) -> None:
    """Of each asset; the next run continues where it stopped, so nothing is lost by trying."""
    database.executemany(
        "insert into orders values (?, 1.0, ?)",
        [(n, f"2026-02-{n // 1000 + 1:02}") for n in range(4, 20_000)],
    )
    database.commit()

    assert load(run_config={"ops": {"load_shop": {"config": {"limit": 5}}}}).success
    tried = open_catalog().load_table("bronze.shop_orders").scan().to_arrow().num_rows
    assert load().success

    rows = open_catalog().load_table("bronze.shop_orders").scan().to_arrow()
    assert 0 < tried < 20_000
    assert sorted(rows["id"].to_pylist()) == list(range(1, 20_000))


def test_a_replay_from_the_launchpad_loads_quarantined_rows(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Those that fit after the repair; the materialization counts them as rows of the load."""
    shop.update(schema_contract="discard_row", quarantine=True)
    load()
    database.execute("alter table orders add column note text")
    database.execute("update orders set note = 'late', updated_at = '2026-03-01' where id = 1")
    database.commit()
    load()
    repaired = DltIngestionPlugin({"sources": [{**shop, "columns": {"note": "text"}}]})
    job = build_ingestion_definitions(repaired).resolve_job_def("ingestion__shop")
    replayed = job.execute_in_process(
        run_config={"ops": {"load_shop": {"config": {"replay_quarantined": True}}}}
    )

    (orders,) = [
        event.materialization.metadata
        for event in replayed.get_asset_materialization_events()
        if event.asset_key == ORDERS
    ]
    assert (orders["rows_loaded"].value, orders["rows_rejected"].value) == (1, 0)
    rows = open_catalog().load_table("bronze.shop_orders").scan().to_arrow().to_pylist()
    assert {row["id"]: row["note"] for row in rows}[1] == "late"


def test_a_failed_isolated_resource_does_not_prevent_the_others_from_loading(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Loaded assets are shown as materialized, and the failure names only the others."""
    shop["isolation"] = "resource"
    database.execute("drop table customers")
    database.commit()

    result = load(raise_on_error=False)

    said = failure_of(result)
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [ORDERS]
    assert open_catalog().load_table("bronze.shop_orders").scan().to_arrow().num_rows == 3
    assert (said["category"], said["table"]) == ("PARTIAL", "bronze.shop_customers")


def test_isolated_resources_keep_their_cursors(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Each load changes the cursor of its own resource, and leaves the others' as they were."""
    shop["isolation"] = "resource"
    shop.update(write_mode="append", primary_key=None)
    load()
    database.execute("insert into customers values (3, '2026-01-03')")
    database.commit()

    rows = [
        str(event.materialization.metadata["rows_loaded"].value)
        for event in load().get_asset_materialization_events()
    ]

    assert sorted(rows) == ["0", "1"]


ONE_RUN = """
import json
import sys

import dagster as dg

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

shop = json.loads(sys.argv[1])
definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
job = definitions.resolve_job_def("ingestion__shop")
print("ready", flush=True)
sys.stdin.readline()
with dg.DagsterInstance.ephemeral() as instance:
    assert job.execute_in_process(instance=instance).success
"""


@pytest.mark.slow
def test_two_runs_of_one_source_at_the_same_time_load_every_row_once(
    shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """They share no file; the second one to commit sees what the first one loaded."""
    shop.update(write_mode="append", primary_key=None)
    database.executemany(
        "insert into orders values (?, 1.0, ?)",
        [(n, f"2026-02-{n % 28 + 1:02}") for n in range(4, 2000)],
    )
    database.commit()
    command = [sys.executable, "-c", ONE_RUN, json.dumps(shop)]
    runs = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
    # Both are started before either is waited for.
    for run in runs:
        assert run.stdin is not None
        run.stdin.write(b"go\n")
        run.stdin.flush()
    said = [run.communicate()[1].decode() for run in runs]

    assert [run.returncode for run in runs] == [0, 0], said
    rows = open_catalog().load_table("bronze.shop_orders").scan().to_arrow()
    assert sorted(rows["id"].to_pylist()) == list(range(1, 2000))
