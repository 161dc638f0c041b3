"""Four stacks: where the catalog is, and where the files are."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from faults.processes import start_warm_process
from servers.fixtures import make_stack

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, LoadResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyiceberg.table import Table
    from servers.stack import Stack

Row = dict[str, Any]
FSSPEC = "pyiceberg.io.fsspec.FsspecFileIO"
STACKS = [
    "sqlite",
    "postgres",
    pytest.param("rest", marks=pytest.mark.rest),
    "postgres_s3",
    pytest.param("rest by fsspec", marks=[pytest.mark.rest, pytest.mark.all_cases]),
    pytest.param("postgres_s3 by fsspec", marks=pytest.mark.all_cases),
]


@pytest.fixture(scope="session", autouse=True)
def warm_process() -> None:
    """Imports dlt and pyiceberg once for all child processes."""
    start_warm_process()


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Each of the four, configured in the environment, with a namespace of the test's own.

    Files are written by pyarrow where the parameter does not say `by fsspec`.
    """
    kind, _, by_fsspec = request.param.partition(" by ")
    chosen = make_stack(kind, request, tmp_path)
    if by_fsspec:
        chosen = replace(chosen, properties={**chosen.properties, "py-io-impl": FSSPEC})
    for name, value in chosen.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    return chosen


@pytest.fixture
def new_stack(request: pytest.FixtureRequest, stack: Stack) -> Callable[[Path], Stack]:
    """Makes further stacks of the kind that the test runs on, each in a folder of its own."""

    def make(folder: Path) -> Stack:
        folder.mkdir(exist_ok=True)
        return make_stack(stack.kind, request, folder)

    return make


@dataclass
class Shop:
    """A source: a table of items in a SQLite database, and the Iceberg table it is loaded into."""

    stack: Stack
    options: Row = field(default_factory=dict)

    @property
    def config(self) -> Row:
        return {
            "name": "shop",
            "source_type": "sql_database",
            "source_config": {"table_names": ["items"]},
            "credentials": f"sqlite:///{self.stack.folder / 'shop.db'}",
            "destination_table": f"{self.stack.namespace}.items",
            **self.options,
        }

    def hold(self, columns: str, *rows: tuple[Any, ...]) -> None:
        """Create the source's table again, with these columns and rows."""
        with sqlite3.connect(self.stack.folder / "shop.db") as connection:
            connection.execute("drop table if exists items")
            connection.execute(f"create table items ({columns})")
            places = ", ".join("?" for _ in rows[0])
            connection.executemany(f"insert into items values ({places})", rows)
        connection.close()

    def load(self, **arguments: Any) -> LoadResult:
        """Load the source in a single attempt."""
        plugin = DltIngestionPlugin({"sources": [self.config], "retry_config": {"max_retries": 0}})
        return plugin.load(plugin.create_pipeline(plugin.source("shop")), **arguments)

    @property
    def table(self) -> Table:
        return self.stack.catalog().load_table((self.stack.namespace, "items"))

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """The Iceberg table's rows, in order."""
        rows = self.table.scan(selected_fields=columns).to_arrow().to_pylist()
        return sorted((tuple(row[name] for name in columns) for row in rows), key=str)


@pytest.fixture
def shop(stack: Stack) -> Shop:
    return Shop(stack)
