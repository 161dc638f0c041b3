"""Pages of JSON over HTTP: flat rows, four times as many of them, and rows that contain lists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks import flights, nested_orders
from benchmarks.case import Case
from benchmarks.duckdb_peer import DUCKDB, packages, write_files
from benchmarks.page_server import PageServer, serving
from benchmarks.report import FLOE, STOCK, Row, at_least, at_most, ratio, seconds
from benchmarks.sources import expect_rows, load_with_plugin, load_with_stock

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Measurement
    from benchmarks.runner import Bench

TABLE = "flights"
_QUERY = "FROM read_json('{}')"
# The rows of each table that the orders become.
_NESTED = {
    TABLE: nested_orders.ORDERS,
    f"{TABLE}__lines": nested_orders.ORDERS * nested_orders.LINES,
}


def compare(bench: Bench) -> list[Row]:
    """Compare the whole run, without the processor time of the server."""
    with serving(flights.page_folder(bench.cache), 1) as server:
        address: dict[str, Any] = {"url": server.url, "pid": server.pid}
        floe = bench.measure("json-pages", load_pages, **address)
        stock = bench.measure("json-pages", load_pages_stock, **address)
    duckdb = _write_with_duckdb(bench, "json-pages", flights.page_folder(bench.cache))
    target = at_least(2.5, floe.whole_seconds, stock.whole_seconds)
    served = [f"{side.extra['server_seconds']:.2f} s" for side in (floe, stock) if side.extra]
    spent = " and ".join(served)
    note = (
        f"the server's own processor time, {spent}, is subtracted from the whole run; DuckDB reads "
        "the pages as files."
    )
    work = f"{flights.ROWS:,} flights from JSON pages"
    return [Row(work, {FLOE: floe, STOCK: stock, DUCKDB: duckdb}, [target], note)]


def grow(bench: Bench) -> list[Row]:
    """Compare the memory of four times the rows."""
    found = {}
    for times in (1, 4):
        with serving(flights.page_folder(bench.cache), times) as server:
            address: dict[str, Any] = {"url": server.url, "pid": server.pid}
            found[times] = bench.measure("json-pages", load_pages, 1, **address, times=times)
    growth = found[4].peak_bytes / found[1].peak_bytes
    target = at_most(1.2, growth, f"peak memory, relative to {flights.ROWS:,}", ratio)
    measured = {FLOE: found[4], f"{FLOE}, a quarter": found[1]}
    return [Row(f"{4 * flights.ROWS:,} flights from JSON pages", measured, [target])]


def compare_nested(bench: Bench) -> list[Row]:
    """Compare the whole run of rows with lists, which become a nested table."""
    with serving(nested_orders.page_folder(bench.cache), 1) as server:
        address: dict[str, Any] = {"url": server.url, "pid": server.pid}
        floe = bench.measure("json-nested", load_nested_pages, **address)
        stock = bench.measure("json-nested", load_nested_pages_stock, **address)
    duckdb = _write_with_duckdb(bench, "json-nested", nested_orders.page_folder(bench.cache))
    targets = [
        at_most(8, floe.whole_seconds, "whole run", seconds),
        at_least(3, floe.whole_seconds, stock.whole_seconds),
    ]
    note = "DuckDB reads the pages as files, and writes the lists into the same Parquet file."
    work = f"{nested_orders.ORDERS:,} orders with a list of {nested_orders.LINES} from JSON pages"
    return [Row(work, {FLOE: floe, STOCK: stock, DUCKDB: duckdb}, targets, note)]


def _write_with_duckdb(bench: Bench, name: str, pages: Path) -> Measurement:
    last = max(pages.iterdir(), key=lambda path: int(path.stem))
    return bench.measure(
        name,
        write_files,
        packages=packages(),
        query=_QUERY,
        small=last,
        whole=pages / "*.json",
    )


def load_pages(home: Path, cache: Path, url: str, pid: int, times: int = 1) -> Measurement:
    """Load all pages through the plugin, with its default options."""
    return _load(home, url, pid, {TABLE: flights.ROWS * times})


def load_nested_pages(home: Path, cache: Path, url: str, pid: int) -> Measurement:
    """Load all pages of orders through the plugin, with its default options."""
    return _load(home, url, pid, _NESTED)


def load_pages_stock(home: Path, cache: Path, url: str, pid: int) -> Measurement:
    """Load all pages with dlt's `rest_api`."""
    return _load_stock(home, url, pid, {TABLE: flights.ROWS})


def load_nested_pages_stock(home: Path, cache: Path, url: str, pid: int) -> Measurement:
    """Load all pages of orders with dlt's `rest_api`."""
    return _load_stock(home, url, pid, _NESTED)


def _load(home: Path, url: str, pid: int, expected: dict[str, int]) -> Measurement:
    server = PageServer(url, pid)
    before = server.cpu_seconds()
    source = {"source_type": "rest_api", "source_config": _api(url, "flights")}
    measured = load_with_plugin(home, TABLE, source, _api(url, "last"), expected[TABLE])
    for table, rows in expected.items():
        expect_rows(home, table, rows)
    return _without_server(measured, server.cpu_seconds() - before)


def _load_stock(home: Path, url: str, pid: int, expected: dict[str, int]) -> Measurement:
    from dlt.sources.rest_api import rest_api_resources

    def resource(path: str) -> Any:
        config: Any = _api(url, path)
        return rest_api_resources(config)[0]

    server = PageServer(url, pid)
    before = server.cpu_seconds()
    measured = load_with_stock(home, TABLE, resource, "flights", "last", expected[TABLE])
    for table, rows in expected.items():
        expect_rows(home, table, rows)
    return _without_server(measured, server.cpu_seconds() - before)


def _without_server(measured: Measurement, spent: float) -> Measurement:
    return replace(
        measured,
        whole_seconds=measured.whole_seconds - spent,
        extra={"server_seconds": spent},
    )


def _api(url: str, path: str) -> dict[str, Any]:
    endpoint = {"path": path, "data_selector": "data"}
    return {
        "client": {
            "base_url": url,
            "paginator": {"type": "json_link", "next_url_path": "next"},
        },
        "resources": [{"name": TABLE, "endpoint": endpoint}],
    }


CASES = [
    Case("json-pages", compare, "Sources"),
    Case("json-pages-4x", grow, "Sources"),
    Case("json-nested", compare_nested, "Sources"),
]
