"""Programs run against `iceberg` and against dlt's own `duckdb` destination, and compared.

A program is a function of a `Run`; it runs once per destination. What it leaves must be equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from floe_ingestion_defs.destinations import iceberg
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

Row = dict[str, Any]
Tables = dict[str, list[str]]


@dataclass
class Run:
    """One destination that a program runs against.

    Attributes:
        destination: `iceberg` or `duckdb`.
        folder: Where working directories and DuckDB's file are.
    """

    destination: str
    folder: Path
    dataset: str = "lake"
    directories: Iterator[int] = field(default_factory=itertools.count)

    def pipeline(self, name: str = "shop", **options: Any) -> dlt.Pipeline:
        """Return a pipeline with a new working directory, which knows only what was loaded."""
        directory = self.folder / self.destination / str(next(self.directories))
        pipeline: dlt.Pipeline = dlt.pipeline(
            name,
            destination=self.open(),
            dataset_name=self.dataset,
            pipelines_dir=str(directory),
            **options,
        )
        return pipeline

    def open(self, **options: Any) -> Any:
        """Return the destination."""
        if self.destination == "duckdb":
            return dlt.destinations.duckdb(str(self.folder / "oracle.duckdb"))
        return iceberg(**options)

    def tables(self, dataset: str | None = None) -> Tables:
        """Return the rows of every table that is not dlt's own, each in a comparable form."""
        return {
            name: sorted(_comparable(row) for row in rows)
            for name, rows in self._tables(dataset or self.dataset).items()
        }

    def _tables(self, dataset: str) -> dict[str, list[Row]]:
        if self.destination == "iceberg":
            catalog = open_catalog()
            if not catalog.namespace_exists(dataset):
                return {}
            tables = Dataset(catalog, dataset).tables()
            return {
                name: table.scan().to_arrow().to_pylist()
                for name, table in tables.items()
                if not name.startswith("_dlt") and table.schema().fields
            }
        with duckdb.connect(str(self.folder / "oracle.duckdb")) as connection:
            query = "select table_name from information_schema.tables where table_schema = ?"
            names = [name for (name,) in connection.execute(query, [dataset]).fetchall()]
            return {
                name: connection.sql(f'from "{dataset}"."{name}"').to_arrow_table().to_pylist()
                for name in names
                if not name.startswith("_dlt")
            }


def _comparable(row: Row) -> str:
    return str(sorted((k, str(v)) for k, v in row.items() if k[:5] != "_dlt_" and v is not None))


Program = Callable[[Run], Any]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an embedded catalog of its own."""
    monkeypatch.setenv("FLOE_HOME", str(tmp_path / "floe"))
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("iceberg", tmp_path)


@pytest.fixture
def oracle(tmp_path: Path) -> Run:
    return Run("duckdb", tmp_path)


@pytest.fixture
def same(run: Run, oracle: Run) -> Callable[[Program], Tables]:
    """Run a program against both destinations, and compare the tables and what it returns."""

    def compare(program: Program) -> Tables:
        expected, actual = program(oracle), program(run)
        assert actual == expected
        assert run.tables() == oracle.tables()
        return run.tables()

    return compare
