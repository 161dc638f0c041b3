import sqlite3
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from pyiceberg.types import LongType

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

Load = Callable[..., dg.ExecuteInProcessResult]

ORDERS = dg.AssetKey("ingestion__shop__orders")
CUSTOMERS = dg.AssetKey("ingestion__shop__customers")


def ids(table: str = "orders") -> list[int]:
    rows = open_catalog().load_table(f"bronze.shop_{table}").scan().to_arrow()
    return sorted(rows["id"].to_pylist())


def insert(database: sqlite3.Connection, *orders: tuple[int | None, float | None, str]) -> None:
    database.executemany("insert into orders values (?, ?, ?)", orders)
    database.commit()


# What is configured, the orders that break it, and what the failed check says.
BROKEN: list[Any] = [
    pytest.param(
        {"unique_key": {"columns": "id", "blocking": True}},
        [(7, 1.0, "2026-01-07"), (7, 1.0, "2026-01-08"), (8, 1.0, "2026-01-09")],
        {"keys_duplicated": 1, "keys_existing_before": 0},
        id="a key that comes twice",
    ),
    pytest.param(
        {"unique_key": {"columns": "id", "blocking": True}},
        [(2, 1.0, "2026-01-07"), (8, 1.0, "2026-01-09")],
        {"keys_duplicated": 0, "keys_existing_before": 1},
        id="a key that is there",
    ),
    pytest.param(
        {"not_null": {"columns": ["id", "total"], "blocking": True}},
        [(7, None, "2026-01-07"), (8, 2.0, "2026-01-08")],
        {"missing_values": 1},
        id="a value that is missing",
    ),
    pytest.param(
        {"row_count_change": {"max_increase": 0.5, "blocking": True}},
        [(7, 1.0, "2026-01-07"), (8, 2.0, "2026-01-08")],
        {"rows_before": 3, "rows": 5},
        id="more rows than plausible",
    ),
]


@pytest.mark.parametrize(("checks", "orders", "said"), BROKEN)
def test_rows_that_break_a_blocking_check_are_never_published(
    load: Load,
    shop: dict[str, Any],
    database: sqlite3.Connection,
    checks: dict[str, Any],
    orders: list[tuple[int | None, float | None, str]],
    said: dict[str, Any],
) -> None:
    """The load ends before its rows are visible, and the check says why, with its figures."""
    shop.update(write_mode="append", primary_key=None)
    shop["orchestration"] = {"resources": {"orders": {"checks": checks}}}
    assert load().success
    snapshots = len(open_catalog().load_table("bronze.shop_orders").snapshots())
    database.execute("insert into customers values (3, '2026-02-01')")
    insert(database, *orders)

    result = load(raise_on_error=False)

    failed = [each for each in result.get_asset_check_evaluations() if not each.passed]
    metadata = {name: value.value for name, value in failed[0].metadata.items()}
    assert not result.success
    assert [(each.asset_key, each.check_name) for each in failed] == [(ORDERS, *checks)]
    assert {**metadata, **said, "published": False} == metadata
    assert failed[0].severity == dg.AssetCheckSeverity.ERROR
    assert result.get_asset_materialization_events() == []
    assert (ids(), ids("customers")) == ([1, 2, 3], [1, 2])
    assert len(open_catalog().load_table("bronze.shop_orders").snapshots()) == snapshots


def test_rejected_rows_are_loaded_by_the_next_run(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """The cursor stays where it was, so repairing the source is all that is needed."""
    shop.update(write_mode="append", primary_key=None)
    shop["orchestration"] = {"checks": {"unique_key": {"columns": "id", "blocking": True}}}
    load()
    insert(database, (2, 1.0, "2026-01-07"), (5, 1.0, "2026-01-08"))
    assert not load(raise_on_error=False).success
    database.execute("update orders set id = 4 where updated_at = '2026-01-07'")
    database.commit()

    assert load().success
    assert ids() == [1, 2, 3, 4, 5]


def test_a_failed_blocking_check_keeps_assets_downstream_from_running(
    shop: dict[str, Any], database: sqlite3.Connection, instance: dg.DagsterInstance
) -> None:
    """They would be built on rows that were not published; the failure names the remedy."""
    shop.update(write_mode="append", primary_key=None)
    shop["orchestration"] = {"checks": {"unique_key": {"columns": "id", "blocking": True}}}
    insert(database, (1, 0.5, "2026-01-09"))

    @dg.asset(deps=[ORDERS])
    def report() -> None: ...

    everything = dg.define_asset_job("everything", selection=dg.AssetSelection.all())
    definitions = dg.Definitions.merge(
        build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]})),
        dg.Definitions(assets=[report], jobs=[everything]),
    )

    result = definitions.resolve_job_def("everything").execute_in_process(
        instance=instance, raise_on_error=False
    )

    key = dg.AssetCheckKey(ORDERS, "unique_key")
    (shown, *_) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert result.get_asset_materialization_events() == []
    assert shown.status.value == "FAILED"
    assert data is not None
    assert data.metadata["category"].value == "PERMANENT"
    assert "1 keys are in the load more than once" in str(data.description)


def test_an_empty_response_of_the_source_does_not_empty_the_table(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """A replaced table is guarded by the number of rows that it had."""
    shop.update(write_mode="replace", primary_key=None, cursor_field=None)
    shop["orchestration"] = {"checks": {"row_count_change": {"blocking": True}}}
    load()
    database.execute("delete from orders where id > 1")
    database.commit()

    result = load(raise_on_error=False)

    assert not result.success
    assert ids() == [1, 2, 3]


def test_a_merge_is_measured_by_the_rows_that_it_really_adds(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Three rows that change and one that is new add one row."""
    shop["orchestration"] = {
        "checks": {
            "row_count_change": {"max_increase": 0.4, "blocking": True},
            "unique_key": {"blocking": True},
            "schema_contract": {"blocking": True},
        }
    }
    load()
    database.execute("update orders set updated_at = '2026-02-01', total = 0")
    insert(database, (4, 1.0, "2026-02-02"))

    assert load().success
    assert ids() == [1, 2, 3, 4]


def test_a_merge_that_repeats_another_key_is_rejected(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """The merge keeps one row of each order and day, and the check asks for one of each order."""
    shop["primary_key"] = ["id", "updated_at"]
    shop["orchestration"] = {
        "resources": {"orders": {"checks": {"unique_key": {"columns": "id", "blocking": True}}}}
    }
    load()
    insert(database, (3, 0.5, "2026-01-09"))

    assert not load(raise_on_error=False).success
    assert ids() == [1, 2, 3]


def test_a_column_that_another_writer_retyped_blocks_loads_where_the_contract_blocks(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """The table violates the contract, so no further load is built on it."""
    shop["resources"] = {"orders": {"columns": {"id": {"data_type": "bigint", "precision": 32}}}}
    shop["orchestration"] = {"checks": {"schema_contract": {"blocking": True}}}
    load()
    with open_catalog().load_table("bronze.shop_orders").update_schema() as update:
        update.update_column("id", LongType())
    insert(database, (4, 1.0, "2026-02-02"))

    result = load(raise_on_error=False)

    (failed,) = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert (failed.asset_key, failed.check_name) == (ORDERS, "schema_contract")
    assert "column `id` is long, but declared as int" in str(failed.description)
    assert ids() == [1, 2, 3]


def test_a_check_that_does_not_block_publishes_the_rows(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """It evaluates the table as it is after the load."""
    shop.update(write_mode="append", primary_key=None)
    shop["orchestration"] = {"checks": {"unique_key": {"columns": "id"}}}
    insert(database, (3, 0.5, "2026-01-09"))

    result = load(raise_on_error=False)

    failed = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert [(each.asset_key, each.check_name) for each in failed] == [(ORDERS, "unique_key")]
    assert ids() == [1, 2, 3, 3]
