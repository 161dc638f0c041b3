"""Real sources for one test each: a landing folder, a SQLite database, an HTTP server on loopback.

What is loaded lands in the embedded catalog, under the test's own FLOE_HOME.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
from servers.loopback import serving

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, LoadResult

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def home(floe_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded catalog of the test's own, and nothing of this machine's configuration."""
    monkeypatch.chdir(tmp_path)
    return floe_home


@pytest.fixture
def files(landing: Path) -> dict[str, Any]:
    """A source of the CSV files in the landing folder."""
    return {
        "name": "files",
        "source_type": "filesystem",
        "source_config": {"bucket_url": str(landing), "file_glob": "**/*.csv", "format": "csv"},
        "destination_table": "bronze.items",
    }


@dataclass
class Database:
    """A SQLite file."""

    path: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def run(self, statement: str, rows: list[tuple[Any, ...]] | None = None) -> None:
        with sqlite3.connect(self.path) as connection:
            if rows is None:
                connection.execute(statement)
            else:
                connection.executemany(statement, rows)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database with a table of orders and one of customers."""
    database = Database(tmp_path / "shop.db")
    database.run(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount NUMERIC(10, 2), share REAL, "
        "day DATE, note TEXT, paid BOOLEAN, updated_at DATETIME NOT NULL)"
    )
    database.run(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (1, 9.95, 0.5, "2024-01-01", "first", 1, "2024-01-01 10:00:00.000000"),
            (2, None, None, None, None, None, "2024-01-02 10:00:00.000000"),
        ],
    )
    database.run("CREATE TABLE customers (name TEXT PRIMARY KEY)")
    database.run("INSERT INTO customers VALUES (?)", [("Ada",), ("Grace",)])
    return database


@pytest.fixture
def shop(database: Database) -> dict[str, Any]:
    """A source of the orders, merged on their id, new ones by `updated_at`."""
    return {
        "name": "shop",
        "source_type": "sql_database",
        "source_config": {"table_names": ["orders"]},
        "credentials": database.url,
        "destination_table": "bronze.shop_{resource}",
        "write_mode": "merge",
        "primary_key": "id",
        "cursor_field": "updated_at",
    }


@dataclass
class Api:
    """A JSON API that pages through `rows`, and answers the first requests as `script` says.

    A step of the script is a status, headers and a body; a number of seconds to wait first; or
    bytes that are sent as they are before the connection is cut.
    """

    url: str = ""
    rows: Rows = field(default_factory=list)
    page_size: int = 2
    script: list[tuple[int, dict[str, str], bytes] | float | bytes] = field(default_factory=list)
    connections: int = 0
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str) -> bytes:
        query = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        found = [row for row in self.rows if str(row.get("at", "")) >= query.get("since", "")]
        start = int(query.get("page", "0")) * self.page_size
        page = found[start : start + self.page_size]
        more = start + self.page_size < len(found)
        next_url = f"{self.url}/items?page={int(query.get('page', '0')) + 1}" if more else None
        if next_url and "since" in query:
            next_url += f"&since={query['since']}"
        return json.dumps({"data": page, "next": next_url}).encode()


@pytest.fixture
def api() -> Iterator[Api]:
    """An HTTP server on loopback."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def setup(self) -> None:
            api.connections += 1
            super().setup()

        def do_GET(self) -> None:
            api.requests.append(self.path)
            api.headers.append(dict(self.headers))
            step = api.script.pop(0) if api.script else None
            if isinstance(step, float):
                time.sleep(step)
                step = None
            if isinstance(step, bytes):
                self.wfile.write(step)
                self.close_connection = True
                return
            status, headers, body = step or (200, {}, api.answer(self.path))
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as api.url:
        yield api


@pytest.fixture
def items(api: Api) -> dict[str, Any]:
    """A source of the API's items."""
    return {
        "name": "items",
        "source_type": "rest_api",
        "source_config": {
            "client": {
                "base_url": api.url,
                "paginator": {"type": "json_link", "next_url_path": "next"},
            },
            "resources": [
                {"name": "items", "endpoint": {"path": "items", "data_selector": "data"}}
            ],
        },
        "destination_table": "bronze.items",
    }


LoadSource = Callable[..., LoadResult]


@pytest.fixture
def load() -> LoadSource:
    """Loads a source by its configuration, and returns what `load` returns."""

    def load(source: dict[str, Any], *, resources: list[str] | None = None) -> LoadResult:
        plugin = DltIngestionPlugin({"sources": [source], "retry_config": {"max_retries": 0}})
        pipeline = plugin.create_pipeline(plugin.source(source["name"]), resources=resources)
        return plugin.load(pipeline)

    return load


@pytest.fixture
def table() -> Callable[[str], pa.Table]:
    """Reads a whole table, sorted by its first column, dlt's own columns left out."""

    def table(name: str) -> pa.Table:
        from floe_ingestion_defs.destinations import open_catalog

        rows = open_catalog().load_table(name).scan().to_arrow()
        rows = rows.select([n for n in rows.column_names if not n.startswith("_dlt_")])
        return rows.sort_by(rows.column_names[0]) if rows.column_names else rows

    return table


@pytest.fixture
def rows(table: Callable[[str], pa.Table]) -> Callable[[str], Rows]:
    """Reads the rows of a table as dicts."""
    return lambda name: table(name).to_pylist()


@pytest.fixture
def tables() -> Callable[[], set[str]]:
    """Lists the tables of the catalog that are not dlt's own."""

    def tables() -> set[str]:
        from floe_ingestion_defs.destinations import open_catalog

        catalog = open_catalog()
        found = {
            ".".join(name)
            for namespace in catalog.list_namespaces()
            for name in catalog.list_tables(namespace)
        }
        return {name for name in found if not name.split(".")[-1].startswith("_dlt_")}

    return tables
