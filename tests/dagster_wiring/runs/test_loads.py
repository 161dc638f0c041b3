import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring.units import format_size
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import PipelineConfigurationError

ORDERS = dg.AssetKey("ingestion__shop__orders")
CUSTOMERS = dg.AssetKey("ingestion__shop__customers")


Load = Callable[..., dg.ExecuteInProcessResult]


def metadata_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    (event,) = [
        event for event in result.get_asset_materialization_events() if event.asset_key == key
    ]
    return {
        name: value.records if isinstance(value, dg.TableMetadataValue) else value.value
        for name, value in event.materialization.metadata.items()
    }


def test_the_main_metadata_is_listed_first(load: Load) -> None:
    """The UI keeps the order; constant values and those about the machine are at the end."""
    names = list(metadata_of(load(), ORDERS))

    assert names[:3] == ["rows_loaded", "dagster/row_count", "rows_rejected"]
    assert names.index("files_added") < names.index("duration_seconds") < names.index("load_id")
    assert names[-2:] == ["dagster/table_name", "dagster/storage_kind"]


def test_a_run_loads_every_resource_and_reports_what_it_did(load: Load) -> None:
    """Rows, totals and time of each table are numbers, so they are plotted; identifiers are not."""
    result = load()

    orders = metadata_of(result, ORDERS)
    assert result.success
    assert orders["rows_loaded"] == 3
    assert orders["dagster/row_count"] == 3
    assert orders["dagster/table_name"] == "bronze.shop_orders"
    assert isinstance(orders["duration_seconds"], float)
    assert orders["load_id"]
    assert metadata_of(result, CUSTOMERS)["rows_loaded"] == 2
    table = open_catalog().load_table("bronze.shop_orders")
    assert table.scan().to_arrow().num_rows == 3
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert orders["snapshot_id"] == str(snapshot.snapshot_id)


def test_a_second_run_in_the_same_process_loads_what_is_new(
    load: Load, database: sqlite3.Connection
) -> None:
    """Every run gets a fresh source: dagster issue 34052 broke the second one."""
    load()
    database.execute("insert into orders values (4, 1.0, '2026-01-04')")
    database.commit()

    orders = metadata_of(load(), ORDERS)

    assert orders["rows_loaded"] == 1
    assert orders["dagster/row_count"] == 4


def test_a_run_with_nothing_new_reports_zero_rows(load: Load) -> None:
    """Zero rows were loaded, and the table still has those that it had, in the same snapshot."""
    before = metadata_of(load(), ORDERS)

    after = metadata_of(load(), ORDERS)

    assert after["rows_loaded"] == 0
    assert after["dagster/row_count"] == 3
    assert after["snapshot_id"] == before["snapshot_id"]


def test_a_selected_asset_is_loaded_alone(load: Load) -> None:
    """The others are neither read nor written."""
    result = load(CUSTOMERS)

    assert [event.asset_key for event in result.get_asset_materialization_events()] == [CUSTOMERS]
    assert not open_catalog().table_exists("bronze.shop_orders")


def test_a_failed_load_reports_category_table_and_remedy(
    load: Load, database: sqlite3.Connection
) -> None:
    """The UI shows the failure first; it contains everything that is needed to act."""
    database.execute("drop table customers")
    database.commit()

    result = load(raise_on_error=False)

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    said = {name: value.value for name, value in data.metadata.items()}
    assert said["category"] == "CONFIGURATION"
    assert said["source"] == "shop"
    assert said["table"] == "bronze.shop_orders, bronze.shop_customers"
    assert said["what_to_do"]
    assert "customers" in str(data.description)


def test_a_failed_load_shows_one_error_and_logs_its_stack(
    load: Load, database: sqlite3.Connection, instance: dg.DagsterInstance
) -> None:
    """The UI shows a few lines; the chain of errors is in the debug log."""
    database.execute("drop table customers")
    database.commit()

    result = load(raise_on_error=False)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data
    assert data.error is not None
    assert data.error.cause is None
    assert data.user_failure_data is not None
    lines = str(data.user_failure_data.description).splitlines()
    assert lines[0] == "CONFIGURATION: shop → bronze.shop_orders, bronze.shop_customers"
    assert lines[-1].startswith("Correct the source's configuration")
    debug = [entry for entry in instance.all_logs(result.run_id) if entry.level == logging.DEBUG]
    assert [entry for entry in debug if entry.user_message.startswith("Traceback")]


def test_metadata_is_recorded_with_the_materialization_alone(load: Load) -> None:
    """Dagster shows the metadata of the step's output as well."""
    result = load(ORDERS)

    (output,) = [
        event.step_output_data
        for event in result.all_events
        if event.is_successful_output and event.step_key == "load_shop"
    ]
    assert not output.metadata
    assert metadata_of(result, ORDERS)["rows_loaded"] == 3


def test_sizes_are_shown_in_units_and_plotted_as_numbers(load: Load) -> None:
    """The size that Dagster's own overview shows is the table's."""
    orders = metadata_of(load(), ORDERS)

    assert orders["size_added"] == format_size(orders["bytes_added"])
    assert orders["table_size"] == format_size(orders["dagster/size_bytes"])
    assert orders["dagster/size_bytes"] == orders["bytes_added"]


def test_a_load_that_fails_publishes_nothing(load: Load, database: sqlite3.Connection) -> None:
    """One load is all of its resources or none."""
    database.execute("drop table customers")
    database.commit()

    load(raise_on_error=False)

    assert not open_catalog().table_exists("bronze.shop_orders")


def test_a_materialization_shows_where_the_table_is_and_what_columns_it_has(load: Load) -> None:
    """Users find the data, and the UI keeps the columns of every load."""
    orders = metadata_of(load(), ORDERS)

    table = open_catalog().load_table("bronze.shop_orders")
    columns = {column.name: column for column in orders["dagster/column_schema"].columns}
    assert orders["dagster/uri"] == table.location()
    assert columns["total"].type == "double"
    assert columns["id"].constraints.other == ["primary key"]


def test_a_materialization_reports_what_the_load_wrote(load: Load) -> None:
    """Bytes and files come from the snapshot, so a load with nothing new has none of them."""
    first = metadata_of(load(), ORDERS)
    second = metadata_of(load(), ORDERS)

    assert first["files_added"] == 1
    assert first["bytes_added"] > 0
    assert (second["files_added"], second["bytes_added"]) == (0, 0)
    assert (first["schema_changes"], second["schema_changes"]) == (0, 0)


def test_a_column_that_a_load_adds_is_shown(load: Load, database: sqlite3.Connection) -> None:
    """Schema changes must be visible."""
    load()
    database.execute("alter table orders add column note text")
    database.execute("insert into orders values (4, 1.0, '2026-01-04', 'gift')")
    database.commit()

    orders = metadata_of(load(), ORDERS)

    assert orders["schema_changes"] == 1
    (change,) = [record.data for record in orders["schema_changed"]]
    assert change == {"column": "note", "change": "added", "before": "", "after": "string"}


def test_rows_are_shown_only_where_that_is_configured(load: Load, shop: dict[str, Any]) -> None:
    """Rows may be personal data, and Dagster keeps its event log."""
    shop["orchestration"] = {"resources": {"orders": {"preview_rows": 2}}}
    with pytest.raises(PipelineConfigurationError, match=r"'orders' is 2.*show_values: true"):
        load()
    shop["resources"] = {"orders": {"show_values": True}}

    result = load()

    assert "preview" not in metadata_of(result, CUSTOMERS)
    preview = metadata_of(result, ORDERS)["preview"].split("\n")
    assert preview[0].startswith("| id | total | updated_at |")
    assert len(preview) == 4


def test_what_a_contract_rejects_is_counted_with_its_reason(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """Rejected rows are reported."""
    shop["schema_contract"] = "discard_row"
    clean = metadata_of(load(), ORDERS)
    database.execute("alter table orders add column note text")
    database.execute("insert into orders values (4, 1.0, '2026-01-04', 'gift')")
    database.commit()

    orders = metadata_of(load(), ORDERS)

    assert clean["rows_rejected"] == 0
    assert orders["rows_rejected"] == 1
    (rejected,) = [record.data for record in orders["rejected"]]
    assert "note" in rejected["reason or column"]
    assert (rejected["what"], rejected["number"]) == ("rows", 1)


def test_a_quarantined_file_is_shown_with_its_reason(
    load: Load, shop: dict[str, Any], tmp_path: Path
) -> None:
    """The load succeeds without the file, so this must be visible."""
    (tmp_path / "1.csv").write_text("id\n1\n")
    (tmp_path / "2.csv").write_text("id\n1,2\n")
    shop.update(
        source_type="filesystem",
        source_config={
            "bucket_url": str(tmp_path),
            "file_glob": "*.csv",
            "format": "csv",
            "resource_name": "orders",
            "unreadable_files": "quarantine",
        },
        write_mode="append",
        cursor_field=None,
    )

    orders = metadata_of(load(), ORDERS)

    assert (orders["rows_loaded"], orders["files_quarantined"]) == (1, 1)
    (file,) = [record.data for record in orders["quarantined"]]
    assert file == {"file": "2.csv", "reason": "2.csv: line 2: Expected 1 columns, got 2"}


def test_a_materialization_shows_the_cursor_before_and_after(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """It shows where the next load continues; a number is plotted."""
    shop["cursor_field"] = "id"
    first = metadata_of(load(), ORDERS)
    database.execute("insert into orders values (9, 1.0, '2026-01-04')")
    database.commit()
    second = metadata_of(load(), ORDERS)
    third = metadata_of(load(), ORDERS)

    assert ("cursor_before" in first, first["cursor_after"]) == (False, 3)
    assert (second["cursor_before"], second["cursor_after"]) == (3, 9)
    assert (third["cursor_before"], third["cursor_after"]) == (9, 9)


def test_a_cursor_of_times_is_shown_as_a_time(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """The UI shows it in the user's time zone."""
    database.execute("create table visits (id integer, at timestamp)")
    database.execute("insert into visits values (1, '2026-01-01 06:00:00.000000')")
    database.commit()
    shop.update(source_config={"table_names": ["visits"]}, cursor_field="at")

    visits = metadata_of(load(), dg.AssetKey("ingestion__shop__visits"))

    assert datetime.fromtimestamp(visits["cursor_after"], UTC) == datetime(
        2026, 1, 1, 6, tzinfo=UTC
    )


def test_a_materialization_reports_the_duration_of_each_phase(load: Load) -> None:
    """A slow source can be distinguished from a slow table; a skipped phase takes no time."""
    phases = ("extract", "normalize", "stage", "audit", "commit", "publish")

    first, second = (metadata_of(load(), ORDERS) for _ in range(2))

    assert all(isinstance(first[f"{phase}_seconds"], float) for phase in phases)
    assert first["commit_seconds"] > 0
    assert sum(first[f"{phase}_seconds"] for phase in phases) <= first["duration_seconds"] + 0.01
    assert (second["commit_seconds"], second["publish_seconds"]) == (0, 0)
    assert second["extract_seconds"] > 0
