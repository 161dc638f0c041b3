"""dlt's `refresh`: sources, resources or rows that are reloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest
from pyiceberg.types import StringType

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake, Row


CURSOR = dlt.sources.incremental("at", initial_value=0)


def shop(orders: list[Row], customers: list[Row] | None = None) -> Any:
    """A source with a cursor on its orders, and rows nested in them."""

    @dlt.source(name="shop")
    def source() -> Any:
        @dlt.resource(name="orders")
        def orders_resource(at: Any = CURSOR) -> Any:
            yield orders

        @dlt.resource(name="customers")
        def customers_resource() -> Any:
            yield customers or []

        yield orders_resource
        if customers is not None:
            yield customers_resource

    return source()


FIRST = [{"at": 1, "v": "a", "tags": ["x"]}, {"at": 2, "v": "b", "tags": ["y", "z"]}]
SECOND = [{"at": 1, "w": 10, "tags": ["n"]}]
CUSTOMERS = [{"id": 1, "name": "Ada"}]


def cursor(lake: Lake) -> Any:
    """The orders' cursor in the committed state."""
    pipeline = lake.pipeline()
    pipeline.sync_destination()
    resources = pipeline.state["sources"].get("shop", {}).get("resources", {})
    return resources.get("orders", {}).get("incremental", {}).get("at", {}).get("last_value")


@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources"])
def test_a_refreshed_resource_is_loaded_from_its_beginning(lake: Lake, refresh: Any) -> None:
    """Rows, columns, nested rows and the cursor are those of the refreshing load alone."""
    lake.load(shop(FIRST))
    assert cursor(lake) == 2
    lake.load(shop(SECOND), refresh=refresh)
    assert lake.rows("orders") == [{"at": 1, "w": 10}]
    assert lake.rows("orders__tags") == [{"value": "n"}]
    assert cursor(lake) == 1


def test_drop_data_keeps_the_columns(lake: Lake) -> None:
    """`drop_data` removes rows and resets the cursor, and leaves the schema."""
    lake.load(shop(FIRST))
    lake.load(shop(SECOND), refresh="drop_data")
    assert lake.rows("orders") == [{"at": 1, "v": None, "w": 10}]
    assert lake.rows("orders__tags") == [{"value": "n"}]
    assert cursor(lake) == 1


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources", "drop_data"])
def test_each_table_is_refreshed_in_one_snapshot(lake: Lake, refresh: Any) -> None:
    """No reader sees a dropped table that is not loaded again yet."""
    lake.load(shop(FIRST))
    lake.load(shop(SECOND), refresh=refresh)
    assert lake.snapshots("orders") == 2
    assert lake.snapshots("orders__tags") == 2


@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources", "drop_data"])
def test_nested_tables_without_rows_are_refreshed_too(lake: Lake, refresh: Any) -> None:
    """A refreshing load that nests nothing leaves nothing nested."""
    lake.load(shop(FIRST))
    lake.load(shop([{"at": 1}]), refresh=refresh)
    assert lake.rows("orders__tags") == []
    assert len(lake.rows("orders")) == 1


def test_drop_sources_drops_what_is_not_selected(lake: Lake) -> None:
    """With `drop_sources` the source's other resources lose their rows too."""
    lake.load(shop(FIRST, CUSTOMERS))
    lake.load(shop(SECOND, CUSTOMERS).with_resources("orders"), refresh="drop_sources")
    assert lake.rows("customers") == []
    assert len(lake.rows("orders")) == 1


def test_drop_resources_leaves_other_resources(lake: Lake) -> None:
    """Only the selected resources are dropped."""
    lake.load(shop(FIRST, CUSTOMERS))
    lake.load(shop(SECOND, CUSTOMERS).with_resources("orders"), refresh="drop_resources")
    assert lake.rows("customers") == CUSTOMERS
    assert len(lake.rows("orders")) == 1


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources"])
def test_a_dropped_column_may_come_back_with_another_type(lake: Lake, refresh: Any) -> None:
    """A refresh is how an incompatible change of a source is taken over."""
    lake.load(shop([{"at": 1, "v": 1, "k": "a"}]))
    lake.load(shop([{"at": 1, "v": "text", "k": "a"}]), refresh=refresh)
    assert lake.table("orders").schema().find_type("v") == StringType()
    assert lake.rows("orders") == [{"at": 1, "k": "a", "v": "text"}]
    lake.load(shop([{"at": 2, "v": "more", "k": "b"}]))
    assert [r["v"] for r in lake.rows("orders")] == ["text", "more"]


@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources"])
def test_a_table_dropped_without_rows_is_reloaded(lake: Lake, refresh: Any) -> None:
    """After a refresh that brought nothing, the next load finds no columns and no rows."""
    lake.load(shop([{"at": 1, "v": 1}]))
    lake.load(shop([]), refresh=refresh)
    assert lake.rows("orders") == []
    lake.load(shop([{"at": 1, "v": "text"}]))
    assert lake.rows("orders") == [{"at": 1, "v": "text"}]
    lake.load(shop([{"at": 2, "v": "more"}]))
    assert [r["v"] for r in lake.rows("orders")] == ["text", "more"]


@pytest.mark.also_on_rest
def test_a_refresh_replaces_a_merged_table(lake: Lake) -> None:
    """Rows that the merge would have kept are gone."""

    def merging(rows: list[Row]) -> Any:
        return dlt.resource(rows, name="t", primary_key="id", write_disposition="merge")

    lake.load(merging([{"id": 1, "k": ["a"]}, {"id": 2, "k": ["b"]}]))
    lake.load(merging([{"id": 2, "k": ["c"]}, {"id": 3, "k": ["d"]}]), refresh="drop_resources")
    assert lake.values("t", "id") == [2, 3]
    assert lake.values("t__k", "value") == ["c", "d"]


def test_a_refresh_of_a_dataset_that_does_not_exist_loads_it(lake: Lake) -> None:
    """The first load may be a refresh."""
    lake.load(shop(FIRST), refresh="drop_sources")
    assert lake.values("orders", "at") == [1, 2]


@pytest.mark.also_on_rest
def test_a_table_that_another_writer_dropped_is_created_again(lake: Lake) -> None:
    """What was published stays gone, and new rows make a new table."""
    lake.load(shop(FIRST))
    lake.catalog.drop_table((lake.dataset, "orders"))
    lake.load(shop([{"at": 3, "v": "c", "tags": []}]))
    assert lake.values("orders", "at") == [3]
