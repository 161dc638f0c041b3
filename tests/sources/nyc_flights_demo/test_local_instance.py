import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlt_sources.nyc_flights_demo.local_instance import prepare_local_instance
from floe_ingestion_defs.cli.only_once import only_once


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOE_HOME", str(tmp_path))
    for name in ("DAGSTER_HOME", "RUNTIME__DLTHUB_TELEMETRY", "DAGSTER_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "set by the user")


def test_the_instance_is_below_floe_home_with_telemetry_off(tmp_path: Path) -> None:
    """Also where a DAGSTER_HOME was set: the example never writes to a real instance."""
    assert prepare_local_instance() == tmp_path / "dagster"
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert os.environ["RUNTIME__DLTHUB_TELEMETRY"] == "false"
    written = (tmp_path / "dagster" / "dagster.yaml").read_text()
    assert "telemetry:\n  enabled: false\n" in written


@pytest.mark.parametrize(
    ("command", "module"),
    [("dev", "dlt_sources.nyc_flights_demo.dev"), ("demo", "dlt_sources.nyc_flights_demo")],
)
def test_a_second_one_says_that_one_is_running(command: str, module: str, tmp_path: Path) -> None:
    """It starts and lands nothing."""
    with only_once(command, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", module], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1, done.stdout
    said = done.stdout + done.stderr
    assert f"error: `make {command}` is already running on {tmp_path}" in said
    assert [path.name for path in tmp_path.iterdir()] == [f"{command}.lock"]


def test_an_edited_configuration_is_kept(tmp_path: Path) -> None:
    """It is written only if it does not exist."""
    configuration = prepare_local_instance() / "dagster.yaml"
    configuration.write_text("telemetry:\n  enabled: false\nlocal_artifact_storage: {}\n")
    before = configuration.read_text()
    prepare_local_instance()
    assert configuration.read_text() == before
