"""Database tables arrive with the types of the database, and only what is new of them."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    LoadResult,
    PipelineConfigurationError,
    SourceConnectionError,
)

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]


def configured(source: Source, **options: Any) -> Source:
    return {**source, "source_config": {**source["source_config"], **options}}


@pytest.mark.parametrize("backend", ["auto", "pyarrow", "sqlalchemy"])
def test_types_of_the_database_are_kept(
    shop: Source, load: Load, table: Callable[[str], pa.Table], backend: str
) -> None:
    load(configured(shop, backend=backend))
    orders = table("bronze.shop_orders").sort_by("id")
    first, second = orders.to_pylist()
    assert first["amount"] == Decimal("9.95")
    assert orders.schema.field("amount").type == pa.decimal128(10, 2)
    assert first["share"] == 0.5
    assert orders.schema.field("share").type == pa.float64()
    assert first["day"] == date(2024, 1, 1)
    assert first["paid"] is True
    assert first["updated_at"] == datetime(2024, 1, 1, 10)
    assert second["amount"] is None


def test_a_run_with_nothing_new_loads_no_row(shop: Source, load: Load, rows: Rows) -> None:
    assert load(shop).rows_loaded == 2
    result = load(shop)
    assert result.rows_loaded == 0
    assert result.resources["orders"].total_rows == 2


def test_rows_with_equal_cursor_values_are_neither_lost_nor_duplicated(
    shop: Source, load: Load, rows: Rows, database: Any
) -> None:
    appended = {**shop, "write_mode": "append"}
    load(appended)
    database.run(
        "INSERT INTO orders SELECT 3, 1, 1, day, note, paid, updated_at FROM orders WHERE id = 2"
    )
    assert load(appended).rows_loaded == 1
    assert load(appended).rows_loaded == 0
    assert sorted(row["id"] for row in rows("bronze.shop_orders")) == [1, 2, 3]


def test_a_changed_row_replaces_the_old_one(
    shop: Source, load: Load, rows: Rows, database: Any
) -> None:
    load(shop)
    database.run(
        "UPDATE orders SET note = 'changed', updated_at = '2024-02-01 00:00:00.000000' WHERE id = 1"
    )
    assert load(shop).rows_loaded == 1
    assert {row["id"]: row["note"] for row in rows("bronze.shop_orders")} == {1: "changed", 2: None}


def test_late_rows_are_found_within_the_lag(
    shop: Source, load: Load, rows: Rows, database: Any
) -> None:
    lagging = {**shop, "lag": 2 * 24 * 3600}
    load(lagging)
    database.run(
        "INSERT INTO orders VALUES (3, 1, 1, NULL, 'late', 1, '2024-01-01 12:00:00.000000')"
    )
    load(lagging)
    assert 3 in {row["id"] for row in rows("bronze.shop_orders")}


def test_an_initial_value_given_as_a_string_is_compared_as_a_timestamp(
    shop: Source, load: Load, rows: Rows
) -> None:
    load({**shop, "initial_value": "2024-01-02T00:00:00"})
    assert [row["id"] for row in rows("bronze.shop_orders")] == [2]


def test_several_tables_make_several_resources_of_one_load(
    shop: Source, load: Load, rows: Rows
) -> None:
    both = {
        **configured(shop, table_names=["orders", "customers"]),
        "write_mode": "replace",
        "cursor_field": None,
        "primary_key": None,
    }
    result = load(both)
    assert {name: found.rows_loaded for name, found in result.resources.items()} == {
        "orders": 2,
        "customers": 2,
    }
    assert len(result.load_ids) == 1


def test_only_chosen_resources_are_loaded(
    shop: Source, load: Load, tables: Callable[[], set[str]]
) -> None:
    both = configured(shop, table_names=["orders", "customers"])
    both["resources"] = {"customers": {"primary_key": "name"}}
    result = load(both, resources=["orders"])
    assert list(result.resources) == ["orders"]
    assert tables() == {"bronze.shop_orders"}


def test_an_unknown_resource_is_rejected_with_the_known_ones(shop: Source) -> None:
    plugin = DltIngestionPlugin({"sources": [shop]})
    with pytest.raises(PipelineConfigurationError, match=r"'order'.*orders"):
        plugin.create_pipeline(plugin.source("shop"), resources=["order"])


def test_rows_are_read_in_chunks(shop: Source, load: Load, database: Any, rows: Rows) -> None:
    database.run(
        "INSERT INTO orders (id, updated_at) VALUES (?, ?)",
        [(number, "2024-03-01 00:00:00.000000") for number in range(10, 1010)],
    )
    load(configured(shop, chunk_size=100))
    assert len(rows("bronze.shop_orders")) == 1002


def test_columns_can_be_left_out(
    shop: Source, load: Load, table: Callable[[str], pa.Table]
) -> None:
    load(configured(shop, excluded_columns={"orders": ["note", "paid"]}))
    assert not {"note", "paid"} & set(table("bronze.shop_orders").column_names)


def test_a_missing_table_is_a_configuration_error(
    shop: Source, load: Load, tables: Callable[[], set[str]]
) -> None:
    with pytest.raises(PipelineConfigurationError, match="invoices"):
        load(configured(shop, table_names=["invoices"]))
    assert tables() == set()


def test_a_missing_database_file_is_not_created(shop: Source, load: Load, tmp_path: Path) -> None:
    absent = tmp_path / "absent.db"
    with pytest.raises(SourceConnectionError, match=r"database file .* does not exist"):
        load({**shop, "credentials": f"sqlite:///{absent}"})
    assert not absent.exists()


def test_a_server_that_cannot_be_reached_is_a_connection_error(shop: Source, load: Load) -> None:
    with pytest.raises((SourceConnectionError, PipelineConfigurationError)) as failed:
        load({**shop, "credentials": "postgresql://me:sw0rdfish@127.0.0.1:1/shop"})
    assert "sw0rdfish" not in str(failed.value)


def test_a_driver_that_is_not_installed_is_a_configuration_error(shop: Source, load: Load) -> None:
    with pytest.raises(PipelineConfigurationError, match="nosuchdb"):
        load({**shop, "credentials": "nosuchdb://me@127.0.0.1/shop"})


def test_declared_columns_take_precedence_over_the_database_s_types(
    shop: Source, load: Load, table: Callable[[str], pa.Table]
) -> None:
    load({**shop, "columns": {"id": "text", "amount": "double"}})
    schema = table("bronze.shop_orders").schema
    assert schema.field("id").type in (pa.string(), pa.large_string())
    assert schema.field("amount").type == pa.float64()
