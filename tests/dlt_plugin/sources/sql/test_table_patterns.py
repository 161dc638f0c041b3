"""Patterns in `table_names`: resolved from a list of tables, which a load makes without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.dlt_plugin import (
    DatabaseTables,
    DltIngestionPlugin,
    PipelineConfigurationError,
    expand_tables,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Source = dict[str, Any]
LISTED = DatabaseTables(
    tables=("orders", "sales_2024", "sales_2025", "sales_tmp", "a*b"), views=("sales_view",)
)


def source(database_url: str = "sqlite://", **settings: Any) -> Source:
    return {
        "name": "shop",
        "source_type": "sql_database",
        "credentials": database_url,
        "destination_table": "bronze.{resource}",
        **settings,
    }


def expanded(**options: Any) -> list[str]:
    """Return the names of the resources of a source with these options."""
    plugin = DltIngestionPlugin({"sources": [source(source_config=options)]})
    resolved = expand_tables(plugin.source("shop"), LISTED)
    return [spec.name for spec in resolved.specs]


@pytest.mark.parametrize(
    ("options", "resources"),
    [
        ({"table_names": "sales_*"}, ["sales_2024", "sales_2025", "sales_tmp"]),
        ({"table_names": "sales_202?"}, ["sales_2024", "sales_2025"]),
        ({"table_names": ["sales_*"], "excluded_tables": "*_tmp"}, ["sales_2024", "sales_2025"]),
        (
            {"table_names": "sales_*", "excluded_tables": ["sales_2024"], "include_views": True},
            ["sales_2025", "sales_tmp", "sales_view"],
        ),
        ({"table_names": ["customers", "ord*"]}, ["customers", "orders"]),
        # A configured table is loaded as configured, and not by the pattern, too.
        (
            {"table_names": [{"table": "orders", "name": "all_orders"}, "*"]},
            ["all_orders", "a_b", "sales_2024", "sales_2025", "sales_tmp"],
        ),
        ({"table_names": [{"table": "a*b", "name": "literal"}, "o*"]}, ["literal", "orders"]),
    ],
)
def test_patterns_match_the_tables_of_the_list(
    options: dict[str, Any], resources: list[str]
) -> None:
    assert expanded(**options) == resources


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"source_config": {"table_names": "sale_*"}},
            r"table_names has 'sale_\*', which matches none of the 5 tables of the default schema",
        ),
        (
            {"source_config": {"table_names": "*", "excluded_tables": ["secrets"]}},
            "excluded_tables has 'secrets', which matches none of the 5 tables",
        ),
        (
            {"source_config": {"table_names": "*", "schema": "sales"}},
            "the list of tables is of schema 'default', but schema is 'sales'",
        ),
        (
            {"source_config": {"table_names": "*"}, "resources": {"order": {}}},
            "resources.order overrides a resource that does not exist; available: a_b, orders",
        ),
        (
            {"source_config": {"table_names": "o*", "where": {"order": "true"}}},
            "where names table 'order', which is not among table_names",
        ),
    ],
)
def test_what_does_not_fit_the_list_is_a_configuration_error(
    settings: dict[str, Any], message: str
) -> None:
    plugin = DltIngestionPlugin({"sources": [source(**settings)]})
    with pytest.raises(PipelineConfigurationError, match=message) as error:
        expand_tables(plugin.source("shop"), LISTED)
    assert str(error.value).startswith("source 'shop': ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"source_config": {"table_names": "*"}, "destination_table": "bronze.all"},
            "include {resource} in it",
        ),
        (
            {"source_config": {"table_names": ["orders"], "excluded_tables": "o*"}},
            "excluded_tables applies to the patterns of table_names, but there is none",
        ),
    ],
)
def test_what_cannot_fit_any_list_is_an_error_without_one(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(PipelineConfigurationError, match=message):
        DltIngestionPlugin({"sources": [source(**settings)]})


def test_resources_are_unknown_before_the_patterns_are_resolved() -> None:
    plugin = DltIngestionPlugin({"sources": [source(source_config={"table_names": "*"})]})
    with pytest.raises(PipelineConfigurationError, match=r"DltIngestionPlugin\.list_tables"):
        plugin.list_resources(plugin.source("shop"))


def test_a_table_without_a_name_in_words_can_be_named_or_excluded() -> None:
    listed = DatabaseTables(tables=("注文", "orders"))
    plugin = DltIngestionPlugin({"sources": [source(source_config={"table_names": "*"})]})
    with pytest.raises(PipelineConfigurationError, match=r"注文.*or add it to excluded_tables"):
        expand_tables(plugin.source("shop"), listed)


def test_a_load_without_a_list_asks_the_database(
    execute: Callable[[str], None],
    database_url: str,
    load: Callable[..., Any],
    rows: Callable[[str], list[dict[str, Any]]],
    tables: Callable[[], set[str]],
) -> None:
    """The partitions of a table are not tables of their own: their rows would be loaded twice."""
    execute("CREATE SCHEMA sales; CREATE TABLE other (id int)")
    execute("CREATE TABLE sales.orders (id int PRIMARY KEY, amount int) PARTITION BY RANGE (id)")
    execute("CREATE TABLE sales.orders_1 PARTITION OF sales.orders FOR VALUES FROM (0) TO (10)")
    execute("INSERT INTO sales.orders VALUES (1, 5)")
    execute("CREATE TABLE sales.customers (id int); INSERT INTO sales.customers VALUES (7)")
    execute("CREATE VIEW sales.rich AS SELECT * FROM sales.customers")
    execute("CREATE MATERIALIZED VIEW sales.richest AS SELECT * FROM sales.customers")
    options = {"schema": "sales", "table_names": "*"}
    load(source(database_url, source_config=options))
    assert tables() == {"bronze.orders", "bronze.customers"}
    assert rows("bronze.orders") == [{"id": 1, "amount": 5}]
    load(source(database_url, source_config=options | {"include_views": True}))
    assert tables() == {"bronze.orders", "bronze.customers", "bronze.rich", "bronze.richest"}


def test_only_a_database_has_tables_to_list() -> None:
    files = source(source_type="filesystem", source_config={"bucket_url": "in", "format": "csv"})
    files["destination_table"] = "bronze.files"
    plugin = DltIngestionPlugin({"sources": [files]})
    with pytest.raises(PipelineConfigurationError, match="only a sql_database has tables"):
        plugin.list_tables(plugin.source("shop"))
