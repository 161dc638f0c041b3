"""The shipped pytest plugin lets people test a source in five lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FIVE_LINES = """
def test_rows_are_loaded(run_source, tmp_path):
    (tmp_path / "a.csv").write_text("id,name\\n1,Ada\\n")
    files = {"bucket_url": str(tmp_path), "file_glob": "*.csv", "format": "csv"}
    run = run_source(source_type="filesystem", source_config={**files, "resource_name": "people"})
    assert run.tables["people"].to_pylist() == [{"id": 1, "name": "Ada"}]


def test_a_second_run_continues_where_the_first_ended(run_source, tmp_path):
    (tmp_path / "a.csv").write_text("id\\n1\\n")
    files = {"bucket_url": str(tmp_path), "file_glob": "*.csv", "format": "csv"}
    source = {"source_type": "filesystem", "source_config": {**files, "resource_name": "people"}}
    assert run_source(source).result.rows_loaded == 1
    assert run_source(source).result.rows_loaded == 0


def test_the_plugin_is_started_and_loads_the_sample(dlt_plugin, floe_catalog):
    assert dlt_plugin.health_check(timeout=10).state == "healthy"
    result = dlt_plugin.run(dlt_plugin.create_pipeline(dlt_plugin.source("sample")))
    assert result.rows_loaded == 2
    assert floe_catalog.table_exists("tested.people")


def test_every_test_has_a_catalog_of_its_own(floe_catalog):
    assert floe_catalog.list_namespaces() == []
"""


def test_the_fixtures_of_the_pytest_plugin_work(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(FIVE_LINES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "floe_ingestion_defs.pytest_plugin"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_pytest_plugin_imports_the_engine_lazily() -> None:
    code = (
        "import sys, floe_ingestion_defs.pytest_plugin; "
        "heavy = {'dlt', 'pyarrow', 'pyiceberg', 'pydantic'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
