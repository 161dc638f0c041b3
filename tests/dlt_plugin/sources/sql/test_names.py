"""Tables and columns of any name: a configuration uses the database's spelling or the table's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    ErrorCategory,
    PipelineConfigurationError,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import SourceReadError

Source = dict[str, Any]
Rows = Callable[[str], list[dict[str, Any]]]
ORDERS = (
    'CREATE TABLE "Order Details" ("Order ID" int, "changedAt" timestamp, "größe" text, amount int)'
)


def source(database_url: str, *tables: Any, **settings: Any) -> Source:
    options = {"table_names": list(tables), **settings.pop("options", {})}
    return {
        "name": "shop",
        "source_type": "sql_database",
        "source_config": options,
        "credentials": database_url,
        "destination_table": "bronze.{resource}",
        **settings,
    }


def test_tables_of_any_name_are_loaded(
    execute: Callable[[str], None],
    database_url: str,
    load: Callable[..., Any],
    tables: Callable[[], set[str]],
) -> None:
    names = [
        "Order Details",
        "_private",
        "Straße",
        "café",
        "2024",
        "注文",
        'a "b".c%d',
        "ordersTotal",
    ]
    for name in names:
        quoted = name.replace('"', '""')
        execute(f'CREATE TABLE "{quoted}" (id int)')
        execute(f'INSERT INTO "{quoted}" VALUES (1)')
    configured = [
        {"2024": {"table": "2024", "name": "year"}, "注文": {"table": "注文", "name": "order"}}.get(
            name, name
        )
        for name in names
    ]
    result = load(source(database_url, *configured))
    loaded = {name: found.rows_loaded for name, found in result.resources.items()}
    assert loaded == dict.fromkeys(
        ["order_details", "private", "strasse", "cafe", "year", "order", "a_b_c_d", "ordersTotal"],
        1,
    )
    assert tables() == {
        f"bronze.{name}" for name in (*loaded.keys() - {"ordersTotal"}, "orders_total")
    }


@pytest.mark.parametrize("backend", ["adbc", "pyarrow"])
@pytest.mark.parametrize(
    ("key", "cursor", "amount", "size"),
    [("Order ID", "changedAt", "amount", "größe"), ("order_id", "changed_at", "amount", "gr_e")],
)
def test_settings_use_the_database_s_spelling_or_the_table_s(
    execute: Callable[[str], None],
    database_url: str,
    load: Callable[..., Any],
    rows: Rows,
    backend: str,
    key: str,
    cursor: str,
    amount: str,
    size: str,
) -> None:
    execute(ORDERS)
    execute(
        "INSERT INTO \"Order Details\" VALUES (1, '2024-01-01', 'L', 5), (2, '2024-01-02', 'M', 6)"
    )
    shop = source(
        database_url,
        {"table": "Order Details", "name": "details"},
        options={"backend": backend, "excluded_columns": {"details": [size]}},
        write_mode="merge",
        primary_key=key,
        cursor_field=cursor,
        initial_value="2024-01-01",
        columns={amount: "text"},
        partition_by=[f'bucket(4, "{key}")'],
    )
    assert load(shop).rows_loaded == 2
    assert load(shop).rows_loaded == 0
    execute("INSERT INTO \"Order Details\" VALUES (2, '2024-01-03', 'S', 7)")
    assert load(shop).rows_loaded == 1
    loaded = {row["order_id"]: row["amount"] for row in rows("bronze.details")}
    assert loaded == {1: "5", 2: "7"}
    table = open_catalog().load_table("bronze.details")
    assert [field.name for field in table.spec().fields] == ["order_id_bucket_4"]
    assert "gr_e" not in table.schema().column_names


@pytest.mark.parametrize("setting", ["primary_key", "cursor_field", "merge_key"])
def test_a_setting_that_names_no_column_fails_the_load(
    execute: Callable[[str], None], database_url: str, load: Callable[..., Any], setting: str
) -> None:
    execute(ORDERS)
    shop = source(database_url, "Order Details", **{setting: "order_nr"})
    with pytest.raises(
        PipelineConfigurationError, match=rf"{setting} of resource 'order_details'.*Order ID"
    ):
        load(shop)


def test_one_table_can_be_loaded_as_two_resources(
    execute: Callable[[str], None], database_url: str, load: Callable[..., Any], rows: Rows
) -> None:
    """Each with rows of its own: a condition can be for a resource or for a table."""
    execute("CREATE TABLE orders (id int PRIMARY KEY, state text, at time)")
    execute(
        "INSERT INTO orders VALUES (1, '50%', '10:30'), (2, 'a:b', '11:00'), (3, NULL, '12:00')"
    )
    shop = source(
        database_url,
        {"table": "orders", "name": "half"},
        {"table": "orders", "name": "rest"},
        options={"where": {"half": "state = '50%' -- exactly", "orders": "at > '10:45' or id = 1"}},
    )
    load(shop)
    assert [row["id"] for row in rows("bronze.half")] == [1]
    assert sorted(row["id"] for row in rows("bronze.rest")) == [1, 2, 3]


def test_a_condition_applies_beside_the_cursor(
    execute: Callable[[str], None], database_url: str, load: Callable[..., Any], rows: Rows
) -> None:
    execute("CREATE TABLE orders (id int PRIMARY KEY, state text)")
    execute("INSERT INTO orders VALUES (1, 'draft'), (2, 'sent'), (3, 'paid')")
    for backend in ("adbc", "pyarrow", "sqlalchemy"):
        shop = source(
            database_url,
            "orders",
            name=f"shop_{backend}",
            destination_table=f"bronze.{backend}",
            cursor_field="id",
            options={"backend": backend, "where": {"orders": "state = 'paid' OR state = 'sent'"}},
        )
        assert load(shop).rows_loaded == 2
        execute("INSERT INTO orders VALUES (4, 'draft'), (5, 'paid')")
        assert load(shop).rows_loaded == 1
        execute("DELETE FROM orders WHERE id > 3")
        assert sorted(row["id"] for row in rows(f"bronze.{backend}")) == [2, 3, 5]


def test_a_condition_that_is_not_valid_is_a_configuration_error(
    execute: Callable[[str], None], database_url: str, load: Callable[..., Any]
) -> None:
    execute("CREATE TABLE orders (id int)")
    shop = source(database_url, "orders", options={"where": {"orders": "stat = 'paid'"}})
    with pytest.raises(SourceReadError, match='"stat" does not exist') as failed:
        load(shop)
    assert failed.value.category is ErrorCategory.CONFIGURATION


def test_the_key_of_the_database_is_used_where_none_is_configured(
    execute: Callable[[str], None], database_url: str, load: Callable[..., Any], rows: Rows
) -> None:
    execute('CREATE TABLE lines ("orderId" int, nr int, note text, PRIMARY KEY ("orderId", nr))')
    execute("CREATE TABLE people (id int PRIMARY KEY, email text)")
    execute("INSERT INTO lines VALUES (1, 1, 'a'), (1, 2, 'b')")
    execute("INSERT INTO people VALUES (1, 'x'), (2, 'y')")
    shop = source(
        database_url,
        "lines",
        "people",
        write_mode="merge",
        resources={"people": {"primary_key": "email"}},
    )
    load(shop)
    execute("UPDATE lines SET note = 'c' WHERE nr = 2")
    execute("DELETE FROM people")
    execute("INSERT INTO people VALUES (2, 'x'), (3, 'y')")
    load(shop)
    assert sorted((row["nr"], row["note"]) for row in rows("bronze.lines")) == [(1, "a"), (2, "c")]
    # A configured key takes precedence over the database's.
    assert sorted((row["id"], row["email"]) for row in rows("bronze.people")) == [
        (2, "x"),
        (3, "y"),
    ]


def test_a_merge_of_a_table_without_a_key_fails_with_the_remedy(
    execute: Callable[[str], None],
    database_url: str,
    load: Callable[..., Any],
    tables: Callable[[], set[str]],
) -> None:
    """Also where the key is not loaded."""
    execute("CREATE TABLE logs (line text)")
    execute("CREATE TABLE people (id int PRIMARY KEY, email text)")
    for name, options in (("logs", {}), ("people", {"excluded_columns": {"people": ["id"]}})):
        shop = source(database_url, name, write_mode="merge", options=options)
        with pytest.raises(PipelineConfigurationError, match=rf"'{name}' has no primary key.*set"):
            load(shop)
    assert tables() == set()


def test_names_are_validated_without_a_connection() -> None:
    shop = source("postgresql://localhost:1/nowhere", "Order Details", write_mode="merge")
    plugin = DltIngestionPlugin({"sources": [shop]})
    assert [spec.table for spec in plugin.source("shop").specs] == ["bronze.order_details"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            ["Order Details", "order-details"],
            "made from tables 'Order Details' and 'order-details'; give one of them another name, "
            "such as table_names: [{table: order-details, name: other_order_details}]",
        ),
        (
            ["Orders", "orders"],
            "resources 'Orders' and 'orders' are both loaded into 'bronze.orders'; use a separate "
            "table for each, such as resources: {orders: {destination_table: bronze.orders_2}}",
        ),
    ],
)
def test_tables_whose_names_collide_are_named_with_the_alias(
    tables: list[str], message: str
) -> None:
    with pytest.raises(PipelineConfigurationError, match=re.escape(message)):
        DltIngestionPlugin({"sources": [source("sqlite://", *tables)]})


def test_columns_whose_names_collide_are_named_with_the_remedy(
    execute: Callable[[str], None], database_url: str, load: Callable[..., Any], rows: Rows
) -> None:
    execute('CREATE TABLE orders (id int, "Order ID" int, order_id int)')
    execute("INSERT INTO orders VALUES (1, 2, 3)")
    shop = source(database_url, "orders")
    message = "columns 'Order ID' and 'order_id' of table 'orders' are both named 'order_id'"
    with pytest.raises(PipelineConfigurationError, match=message) as error:
        load(shop)
    assert "source_config.excluded_columns: {orders: [order_id]}" in str(error.value)
    load(source(database_url, "orders", options={"excluded_columns": {"orders": ["order_id"]}}))
    assert rows("bronze.orders") == [{"id": 1, "order_id": 2}]
