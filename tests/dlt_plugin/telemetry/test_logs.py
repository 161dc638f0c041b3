"""One setting makes logs readable for people or machines; they go to standard error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

LOADS = """
import logging, pathlib
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

config = {
    "name": "files",
    "source_type": "filesystem",
    "source_config": {"bucket_url": "landing", "file_glob": "*.csv", "format": "csv"},
    "destination_table": "bronze.items",
}
plugin = DltIngestionPlugin({"sources": [config]})
plugin.run(plugin.create_pipeline(plugin.source("files")))
pathlib.Path("landing/b.csv").write_text("id\\n1,2\\n")
plugin.run(plugin.create_pipeline(plugin.source("files")))
logging.getLogger("floe_ingestion_defs.destinations.impl.iceberg").warning("Moving %s rows", 3)
"""


def logs_of(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "RUNTIME__LOG_LEVEL": "ERROR", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_logs_are_json_if_configured(landing: Path, tmp_path: Path) -> None:
    """Each line is a JSON object with fields, for all layers."""
    (landing / "a.csv").write_text("id\n1\n")
    done = logs_of(LOADS, tmp_path, FLOE_LOG_FORMAT="json")
    assert (done.returncode, done.stdout) == (0, "")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "load started"),
        ("info", "schema evolved"),
        ("info", "load finished"),
        ("info", "load started"),
        ("error", "load failed"),
        ("warning", "Moving 3 rows"),
    ]
    assert all("timestamp" in line for line in lines)
    finished, failed = lines[2], lines[4]
    assert (finished["source"], finished["table"]) == ("files", "bronze.items")
    assert finished["rows_loaded"] == 1
    assert failed["category"] == "PERMANENT"
    assert "b.csv: line 2" in failed["error"]


def test_logs_are_text_by_default(landing: Path, tmp_path: Path) -> None:
    (landing / "a.csv").write_text("id\n1\n")
    done = logs_of(LOADS, tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    started, *_, moving = done.stderr.splitlines()
    assert "[info     ] load started" in started
    assert "source=files" in started
    assert "[warning  ] Moving 3 rows" in moving


@pytest.mark.parametrize(
    "own",
    [
        "import structlog; structlog.configure([structlog.processors.LogfmtRenderer()])",
        "import logging; logging.basicConfig(format='own %(message)s')",
    ],
)
def test_a_process_s_own_log_configuration_is_kept(own: str, landing: Path, tmp_path: Path) -> None:
    done = logs_of(f"{own}\n{LOADS}", tmp_path, FLOE_LOG_FORMAT="json")
    assert done.returncode == 0
    if "structlog" in own:
        assert 'event="load started"' in done.stdout
        assert "Moving 3 rows" in done.stderr
    else:
        assert "own Moving 3 rows" in done.stderr.splitlines()
    assert done.stderr.count("Moving 3 rows") == 1


def test_an_unknown_format_is_rejected_with_the_known_ones(tmp_path: Path) -> None:
    done = logs_of(LOADS, tmp_path, FLOE_LOG_FORMAT="xml")
    assert "FLOE_LOG_FORMAT is 'xml', but must be 'console' or 'json'" in done.stderr
