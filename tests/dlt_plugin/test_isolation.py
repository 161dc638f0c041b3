"""An isolated source is loaded one resource at a time; a failure does not affect the others."""

from collections.abc import Callable
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    ErrorCategory,
    LoadResult,
    ResourceLoadsFailed,
    categorize_error,
)

Source = dict[str, Any]
Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def isolated(shop: Source) -> Source:
    """Both tables of the shop, each a load of its own."""
    return {
        **shop,
        "source_config": {"table_names": ["orders", "customers"]},
        "isolation": "resource",
        "write_mode": "append",
        "primary_key": None,
        "cursor_field": None,
        "resources": {"orders": {"cursor_field": "updated_at"}},
    }


def plugin_of(source: Source) -> DltIngestionPlugin:
    return DltIngestionPlugin({"sources": [source], "retry_config": {"max_retries": 0}})


def run(source: Source) -> LoadResult:
    plugin = plugin_of(source)
    result = plugin.run(plugin.create_pipeline(plugin.source(source["name"])))
    assert isinstance(result, LoadResult)
    return result


def test_every_resource_of_an_isolated_source_is_a_load(isolated: Source, rows: Rows) -> None:
    """The result is that of all of them together, and each continues from its own state."""
    result = run(isolated)
    assert result.success
    assert len(set(result.load_ids)) == 2
    assert result.rows_loaded == 4
    assert {name: one.rows_loaded for name, one in result.resources.items()} == {
        "orders": 2,
        "customers": 2,
    }
    assert result.phase_seconds.keys() >= {"extract", "publish"}
    assert len(rows("bronze.shop_orders")) == len(rows("bronze.shop_customers")) == 2
    assert run(isolated).resources["orders"].rows_loaded == 0


def test_a_resource_that_fails_leaves_the_others_loaded(
    isolated: Source, database: Any, rows: Rows, tables: Callable[[], set[str]]
) -> None:
    """`run` says PARTIAL with what was loaded; `load` raises an error that carries the same."""
    database.run("DROP TABLE orders")
    result = run(isolated)
    assert not result.success
    assert result.failed == ["orders"]
    assert list(result.resources) == ["customers"]
    assert result.rows_loaded == len(rows("bronze.shop_customers")) == 2
    assert [error.split(":")[0] for error in result.errors] == [
        "PARTIAL ResourceLoadsFailed",
        "CONFIGURATION PipelineConfigurationError",
    ]
    assert all("bronze.shop_orders" in error for error in result.errors)
    assert tables() == {"bronze.shop_customers"}

    plugin = plugin_of(isolated)
    with pytest.raises(ResourceLoadsFailed, match="1 of 2 resources failed") as raised:
        plugin.load(plugin.create_pipeline(plugin.source("shop")))
    assert categorize_error(raised.value) is ErrorCategory.PARTIAL
    assert list(raised.value.failed) == ["orders"]
    assert raised.value.result.resources["customers"].rows_loaded == 2


def test_a_source_of_which_nothing_was_loaded_is_not_partial(
    isolated: Source, database: Any
) -> None:
    """With no resource loaded the category is that of the resources themselves."""
    database.run("DROP TABLE orders")
    database.run("DROP TABLE customers")
    result = run(isolated)
    assert result.failed == ["orders", "customers"]
    assert result.errors[0].startswith("CONFIGURATION ResourceLoadsFailed: 2 of 2 resources failed")
    assert result.load_ids == []


def test_a_refresh_of_an_isolated_source_drops_no_other_resource(
    isolated: Source, rows: Rows
) -> None:
    """`drop_sources` would drop what the load of another resource has just published."""
    run(isolated)
    plugin = plugin_of(isolated)
    result = plugin.load(plugin.create_pipeline(plugin.source("shop")), refresh="drop_sources")
    assert result.rows_loaded == 4
    assert len(rows("bronze.shop_orders")) == len(rows("bronze.shop_customers")) == 2
    one = plugin.create_pipeline(plugin.source("shop"), resources=["orders"])
    assert plugin.load(one, refresh="drop_sources").rows_loaded == 2
    assert len(rows("bronze.shop_customers")) == 2
