"""A source is reached once per pipeline; beyond that, only rows cost a connection."""

from typing import Any
from urllib.request import urlopen

import pytest

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, LoadRequest

Source = dict[str, Any]
WINDOW: dict[str, Any] = {"start": "2026-01-02", "end": "2026-01-04"}


@pytest.fixture
def dated(items: Source, api: Any) -> Source:
    """The API's items, of one page each, which is one request and one connection."""
    api.rows = [{"id": n, "at": f"2026-01-0{n}T00:00:00Z"} for n in range(1, 6)]
    api.page_size = 10
    return items | {"cursor_field": "at", "columns": {"at": "timestamp"}}


def test_a_window_is_loaded_over_two_connections(dated: Source, api: Any) -> None:
    """One that reaches the source, and one for its rows."""
    plugin = DltIngestionPlugin({"sources": [dated]})
    pipeline = plugin.create_pipeline(plugin.source("items"), request=LoadRequest(**WINDOW))
    assert api.requests == []
    assert plugin.load(pipeline).rows_loaded == 2
    assert (api.connections, len(api.requests)) == (2, 1)


def test_a_pipeline_is_loaded_again_without_reaching_its_source_again(
    dated: Source, api: Any
) -> None:
    """What a load requests beyond the pipeline's own request costs no connection either."""
    plugin = DltIngestionPlugin({"sources": [dated]})
    pipeline = plugin.create_pipeline(plugin.source("items"))
    assert plugin.load(pipeline).rows_loaded == 5
    assert plugin.load(pipeline, **WINDOW).rows_loaded == 2
    assert (api.connections, len(api.requests)) == (3, 2)


def test_an_isolated_source_is_reached_once_for_all_its_resources(dated: Source, api: Any) -> None:
    names = ["one", "two", "three"]
    dated["source_config"]["resources"] = [
        {"name": name, "endpoint": {"path": name, "data_selector": "data"}} for name in names
    ]
    dated |= {"isolation": "resource", "destination_table": "bronze.{resource}"}
    plugin = DltIngestionPlugin({"sources": [dated]})
    result = plugin.load(plugin.create_pipeline(plugin.source("items")))
    assert result.rows_loaded == 15
    assert (api.connections, len(api.requests)) == (1 + len(names), len(names))


def test_an_invalid_window_is_rejected_before_the_source_is_reached(
    items: Source, api: Any
) -> None:
    plugin = DltIngestionPlugin({"sources": [items]})
    with pytest.raises(ValueError, match="no cursor_field"):
        plugin.create_pipeline(plugin.source("items"), request=LoadRequest(**WINDOW))
    # The server accepts connections in order, so that after this one none is outstanding.
    urlopen(api.url).close()
    assert api.connections == 1
