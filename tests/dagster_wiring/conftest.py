import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

MakePlugin = Callable[..., DltIngestionPlugin]
Load = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture(autouse=True)
def _home(floe_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog of the test's own, and no branch.

    A location that is loaded for a branch confines its process, which is the next test's, too.
    """
    monkeypatch.setenv("FLOE_BRANCH", "pr_0")
    monkeypatch.delenv("FLOE_BRANCH")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


@pytest.fixture
def shop() -> dict[str, Any]:
    """A source of two tables, as a user would configure it."""
    return {
        "name": "shop",
        "description": "What customers ordered.",
        "source_type": "sql_database",
        "source_config": {"table_names": ["orders", "customers"]},
        "credentials": "${SHOP_DATABASE}",
        "destination_table": "bronze.shop_{resource}",
        "write_mode": "merge",
        "primary_key": "id",
        "cursor_field": "updated_at",
    }


@pytest.fixture
def make_plugin(shop: dict[str, Any]) -> MakePlugin:
    """Makes a plugin with the shop's source, its `orchestration:` as given."""

    def make(**orchestration: Any) -> DltIngestionPlugin:
        return DltIngestionPlugin({"sources": [{**shop, "orchestration": orchestration}]})

    return make


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """The shop's database: three orders of two customers."""
    path = tmp_path / "shop.db"
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("create table orders (id integer, total real, updated_at text)")
        connection.execute("create table customers (id integer, updated_at text)")
        connection.executemany(
            "insert into orders values (?, ?, ?)",
            [(1, 9.5, "2026-01-01"), (2, 20.0, "2026-01-02"), (3, 7.25, "2026-01-03")],
        )
        connection.executemany(
            "insert into customers values (?, ?)", [(1, "2026-01-01"), (2, "2026-01-02")]
        )
        connection.commit()
        yield connection


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def load(shop: dict[str, Any], database: sqlite3.Connection, instance: dg.DagsterInstance) -> Load:
    """Runs the shop's job in this process; what is changed in `shop` first holds."""
    built: list[dg.JobDefinition] = []

    def run(*selection: dg.AssetKey, **options: Any) -> dg.ExecuteInProcessResult:
        if not built:
            definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
            built.append(definitions.resolve_job_def("ingestion__shop"))
        return built[0].execute_in_process(
            instance=instance, asset_selection=list(selection) or None, **options
        )

    return run


@pytest.fixture
def visits(shop: dict[str, Any], database: sqlite3.Connection) -> dict[str, Any]:
    """The shop's visits, two on each of the first ten days of the year, to be appended."""
    database.execute("create table visits (id integer, at timestamp)")
    database.executemany(
        "insert into visits values (?, ?)",
        [(n, f"2026-01-{n // 2 + 1:02} {6 + n % 2 * 12:02}:00:00.000000") for n in range(20)],
    )
    database.commit()
    shop.update(
        source_config={"table_names": ["visits"]},
        write_mode="append",
        primary_key=None,
        cursor_field="at",
        orchestration={"partitions": {"kind": "daily", "start": "2026-01-01"}},
    )
    return shop
