"""Programs run against `iceberg` and against dlt's own `duckdb` destination, and compared.

A program is a function of a `Run`; it runs once per destination. What it leaves must be equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from dlt_suite.runs import Run, Tables

if TYPE_CHECKING:
    from pathlib import Path

Program = Callable[[Run], Any]


@pytest.fixture(autouse=True)
def home(floe_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an embedded catalog of its own, and a folder for dlt's files."""
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
