import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from pyiceberg.table import Table

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.checks.table_health import check_table_health
from floe_ingestion_defs.dagster_wiring.settings.checks import TableHealthCheck
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg import recover
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

MakeTable = Callable[..., Table]
Load = Callable[..., dg.ExecuteInProcessResult]

ORDERS = dg.AssetKey("ingestion__shop__orders")
ROWS = pa.table({"id": pa.array(range(2_000), pa.int64())})
TARGET = "write.target-file-size-bytes"


Alone = Callable[[], dg.AssetCheckEvaluation]


@pytest.fixture
def health(shop: dict[str, Any], instance: dg.DagsterInstance) -> Alone:
    """Runs the checks alone, without a load."""

    def run() -> dg.AssetCheckEvaluation:
        definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
        alone = dg.define_asset_job("alone", selection=dg.AssetSelection.all_asset_checks())
        merged = dg.Definitions.merge(definitions, dg.Definitions(jobs=[alone]))
        return health_of(merged.resolve_job_def("alone").execute_in_process(instance=instance))

    return run


def check(table: Table, **limits: Any) -> CheckResult:
    return check_table_health(table, TableHealthCheck(**limits))


def health_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = [
        each
        for each in result.get_asset_check_evaluations()
        if (each.asset_key, each.check_name) == (ORDERS, "table_health")
    ]
    return found


def test_a_new_table_is_healthy_and_has_its_figures(load: Load) -> None:
    """The check is on by default; its figures are plotted."""
    found = health_of(load())

    assert found.passed
    assert found.metadata["data_files"].value == 1
    assert found.metadata["snapshots_past_retention"].value == 0


def test_many_small_files_are_a_warning_with_the_command(make_table: MakeTable) -> None:
    """They are what a compaction would combine: files are small by the table's own target."""
    table = make_table(ROWS.slice(0, 1))
    with table.transaction() as transaction:
        transaction.set_properties({TARGET: "100"})
    table.append(ROWS)
    assert len(list(table.scan().plan_files())) > 100
    with table.transaction() as transaction:
        transaction.set_properties({TARGET: str(512 * 1024**2)})

    result = check(table)

    assert not result.passed
    assert result.metadata["small_files_share"] == 1.0
    assert "data files are small" in result.summary
    assert "`floe compact bronze events`" in result.summary
    assert check(table, max_small_files=None).passed


def test_rows_marked_as_deleted_are_a_warning(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Each reader reads them, and skips them."""
    shop["merge_mode"] = "merge-on-read"
    shop["orchestration"] = {"checks": {"table_health": {"max_deleted_rows": 0.1}}}
    database.executemany(
        "insert into orders values (?, 1.0, '2026-01-04')", [(n,) for n in range(4, 11)]
    )
    database.commit()
    load()
    database.execute("update orders set total = 5, updated_at = '2026-01-05' where id < 3")
    database.commit()

    found = health_of(load())

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert "17% of the rows are marked as deleted" in str(found.description)


def test_snapshots_past_their_retention_are_a_warning_with_the_command(
    make_table: MakeTable,
) -> None:
    """They are what the command would expire: the table's own properties say how many it keeps."""
    table = make_table(*(ROWS.slice(n, 1) for n in range(3)))
    with table.transaction() as transaction:
        transaction.set_properties({"history.expire.max-snapshot-age-ms": "0"})
    assert check(table, max_old_snapshots=0).passed, "the 10 newest are kept"
    with table.transaction() as transaction:
        transaction.set_properties({"history.expire.min-snapshots-to-keep": "1"})

    result = check(table, max_old_snapshots=1)

    assert result.metadata["snapshots_past_retention"] == 2
    assert "2 snapshots are past their retention" in result.summary
    assert "`floe expire bronze events --yes`" in result.summary

    with table.transaction() as transaction:
        transaction.set_properties({"gc.enabled": "false"})
    assert check(table, max_old_snapshots=0).passed, "none may expire"


def test_a_load_that_is_committed_and_not_published_is_an_error(
    load: Load, health: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the process had died after the commit, and no other had opened the dataset since."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        assert health_of(load()).passed
    monkeypatch.setattr(recover, "OTHERS_AFTER", timedelta(0))

    found = health()

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert "is not published to bronze.shop_orders. Run the pipeline again" in str(
        found.description
    )
    load()
    assert health().passed


def add_order(database: sqlite3.Connection, number: int) -> None:
    database.execute("insert into orders values (?, 1.0, '2026-02-01')", (number,))
    database.commit()


@pytest.mark.parametrize("how", ["rolled back", "restored"])
def test_loads_that_an_operator_removed_are_a_warning_until_a_full_refresh(
    load: Load, health: Alone, shop: dict[str, Any], database: sqlite3.Connection, how: str
) -> None:
    """They do not come back by themselves, whatever is loaded afterwards."""
    load()
    catalog = open_catalog()
    first = catalog.load_table("bronze.shop_orders")
    backup = first.current_snapshot()
    assert backup is not None
    add_order(database, 11)
    load()
    assert health().passed
    if how == "restored":
        catalog.drop_table("bronze.shop_orders")
        catalog.register_table("bronze.shop_orders", first.metadata_location)
    else:
        table = catalog.load_table("bronze.shop_orders")
        table.manage_snapshots().rollback_to_snapshot(backup.snapshot_id).commit()
    assert not health().passed
    add_order(database, 12)

    found = health_of(load())

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.metadata["missing_loads"].value == 1
    assert "run a full refresh" in str(found.description)
    ids = catalog.load_table("bronze.shop_orders").scan().to_arrow()["id"].to_pylist()
    assert 11 not in ids
    assert 12 in ids
    load(run_config={"ops": {"load_shop": {"config": {"refresh": True}}}})
    assert health().passed
