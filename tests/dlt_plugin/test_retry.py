"""Loads are retried after transient errors, and never loaded twice."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, LoadResult

Source = dict[str, Any]
Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def run() -> Callable[..., LoadResult]:
    def run(source: Source, retries: int = 3, initial_delay: float = 0.01) -> LoadResult:
        config = {"max_retries": retries, "initial_delay_seconds": initial_delay}
        plugin = DltIngestionPlugin({"sources": [source], "retry_config": config})
        result = plugin.run(plugin.create_pipeline(plugin.source(source["name"])))
        assert isinstance(result, LoadResult)
        return result

    return run


@pytest.fixture(autouse=True)
def _no_retries_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    # dlt retries each request itself; here it is our own retries that are looked at.
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")


def test_a_transient_failure_is_retried(
    items: Source, run: Callable[..., LoadResult], api: Any, rows: Rows
) -> None:
    api.rows = [{"id": 1}, {"id": 2}, {"id": 3}]
    # The second page fails, twice: what came of the first must not be loaded twice.
    fine = None
    api.script = [fine, (503, {}, b""), fine, (503, {}, b"")]
    result = run(items)
    assert (result.success, result.rows_loaded) == (True, 3)
    assert [row["id"] for row in rows("bronze.items")] == [1, 2, 3]


def test_the_retries_are_limited(items: Source, run: Callable[..., LoadResult], api: Any) -> None:
    api.script = [(503, {}, b"")] * 10
    result = run(items, retries=2)
    assert result.errors[0].startswith("TRANSIENT SourceConnectionError:")
    assert len(api.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_permanent_failure_is_not_retried(
    items: Source, run: Callable[..., LoadResult], api: Any, status: int
) -> None:
    api.script = [(status, {}, b"{}")] * 10
    assert not run(items).success
    assert len(api.requests) == 1


def test_a_broken_connection_is_retried(
    items: Source, run: Callable[..., LoadResult], api: Any
) -> None:
    api.rows = [{"id": 1}]
    api.script = [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"]
    assert run(items).rows_loaded == 1


def test_a_retry_waits_as_long_as_retry_after_requests(
    items: Source, run: Callable[..., LoadResult], api: Any
) -> None:
    api.rows = [{"id": 1}]
    api.script = [(429, {"Retry-After": "2"}, b"")]
    began = time.monotonic()
    assert run(items).success
    assert time.monotonic() - began >= 2


@pytest.mark.slow
def test_a_load_waits_for_a_locked_catalog_and_loads_once(
    files: Source, landing: Path, run: Callable[..., LoadResult], home: Path, rows: Rows
) -> None:
    (landing / "a.csv").write_text("id\n1\n")
    run(files)
    (landing / "b.csv").write_text("id\n2\n")
    lock = sqlite3.connect(home / "catalog.db", check_same_thread=False, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")

    def release() -> None:
        lock.execute("COMMIT")
        lock.close()

    threading.Timer(8, release).start()
    result = run(files, retries=10, initial_delay=0.5)
    assert result.success, result.errors
    assert rows("bronze.items") == [{"id": 1}, {"id": 2}]
