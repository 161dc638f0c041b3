"""An API that fails in the middle of a load leaves tables and cursor unchanged."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    ErrorCategory,
    IngestionError,
    LoadResult,
    SourceConnectionError,
    SourceReadError,
)

pytestmark = pytest.mark.slow

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]

BODY = b'{"data": [{"id": 7, "at": "2024-01-07"}'
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
JSON_TYPE = {"Content-Type": "application/json"}
TRANSIENT, PERMANENT = ErrorCategory.TRANSIENT, ErrorCategory.PERMANENT
FAULTS = {
    "too many requests": ((429, {"Retry-After": "1"}, b""), SourceConnectionError, TRANSIENT),
    "timed out there": ((408, {}, b""), SourceConnectionError, TRANSIENT),
    "server error": ((500, {}, b"<h1>Oops</h1>"), SourceConnectionError, TRANSIENT),
    "bad gateway": ((502, {}, b""), SourceConnectionError, TRANSIENT),
    "slow": (3.0, SourceConnectionError, TRANSIENT),
    "no answer": (b"", SourceConnectionError, TRANSIENT),
    "cut off": (LENGTH + BODY, SourceConnectionError, TRANSIENT),
    "cut off between chunks": (CHUNKED + b"27\r\n" + BODY, SourceConnectionError, TRANSIENT),
    "broken json": ((200, JSON_TYPE, BODY), SourceReadError, PERMANENT),
    "no json": ((200, JSON_TYPE, b"<h1>Maintenance</h1>"), SourceReadError, PERMANENT),
    "key taken back": ((401, {}, b"{}"), SourceConnectionError, PERMANENT),
}


@pytest.fixture
def since(items: Source, monkeypatch: pytest.MonkeyPatch) -> Source:
    """The API's items by a cursor; each request is made once and answered within a second."""
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "1")
    return {**items, "cursor_field": "at"}


def day(number: int) -> dict[str, Any]:
    return {"id": number, "at": f"2024-01-{number:02}"}


def heads() -> dict[str, int]:
    """Where the table and the log of the loads, in which the state is, stand."""
    from floe_ingestion_defs.destinations import open_catalog

    heads = {}
    for name in ("items", "_dlt_loads"):
        snapshot = open_catalog().load_table(f"bronze.{name}").current_snapshot()
        assert snapshot is not None
        heads[name] = snapshot.snapshot_id
    return heads


@pytest.mark.parametrize("fault", FAULTS)
def test_a_page_that_fails_leaves_tables_and_cursor_as_they_were(
    fault: str, since: Source, load: Load, rows: Rows, api: Any
) -> None:
    """The pages before it are not loaded either, and the next load gets all of them, once."""
    step, kind, category = FAULTS[fault]
    api.rows = [day(number) for number in (1, 2)]
    assert load(since).rows_loaded == 2
    before = heads()

    api.rows = [day(number) for number in range(1, 7)]
    api.script = [None, None, step]
    with pytest.raises(IngestionError) as failed:
        load(since)
    assert (type(failed.value), failed.value.category) == (kind, category), failed.value
    assert "source items" in str(failed.value)
    assert api.script == []
    assert heads() == before

    again = load(since)
    assert again.rows_loaded == 4
    assert again.resources["items"].cursor_before == "2024-01-02"
    assert [row["id"] for row in rows("bronze.items")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "fault", [name for name, (*_, kind) in FAULTS.items() if kind == "TRANSIENT"]
)
def test_a_transient_failure_is_retried_and_nothing_is_loaded_twice(
    fault: str, since: Source, rows: Rows, api: Any
) -> None:
    api.rows = [day(number) for number in range(1, 7)]
    api.script = [None, FAULTS[fault][0]]
    retries = {"max_retries": 1, "initial_delay_seconds": 0.01}
    plugin = DltIngestionPlugin({"sources": [since], "retry_config": retries})
    result = plugin.run(plugin.create_pipeline(plugin.source("items")))
    assert (result.success, result.rows_loaded) == (True, 6), result.errors
    assert [row["id"] for row in rows("bronze.items")] == [1, 2, 3, 4, 5, 6]


def test_retry_after_accepts_an_http_date(since: Source, api: Any) -> None:
    """`Retry-After` is seconds or a date, says RFC 9110."""
    api.rows = [day(1)]
    back = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    api.script = [(429, {"Retry-After": format_datetime(back, usegmt=True)}, b"")]
    plugin = DltIngestionPlugin(
        {"sources": [since], "retry_config": {"max_retries": 1, "initial_delay_seconds": 0.01}}
    )
    assert plugin.run(plugin.create_pipeline(plugin.source("items"))).success
    assert datetime.now(UTC) >= back


def test_an_error_names_the_table_of_the_resource_that_failed(
    since: Source, load: Load, tables: Callable[[], set[str]], api: Any
) -> None:
    """Of several resources, and nothing of the others becomes visible either."""
    endpoint = {"path": "orders", "data_selector": "data"}
    more = {"name": "orders", "endpoint": endpoint, "parallelized": False}
    since["source_config"]["resources"].append(more)
    since["destination_table"] = "bronze.shop_{resource}"
    api.rows = [day(1)]
    api.script = [None, (404, {}, b"{}")]
    with pytest.raises(IngestionError, match="404") as failed:
        load(since)
    assert failed.value.destination_table == "bronze.shop_orders"
    assert tables() == set()
