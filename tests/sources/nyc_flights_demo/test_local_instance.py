import os
from pathlib import Path

import pytest

from dlt_sources.nyc_flights_demo.local_instance import prepare_local_instance


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


def test_an_edited_configuration_is_kept(tmp_path: Path) -> None:
    """It is written only if it does not exist."""
    configuration = prepare_local_instance() / "dagster.yaml"
    configuration.write_text("telemetry:\n  enabled: false\nlocal_artifact_storage: {}\n")
    before = configuration.read_text()
    prepare_local_instance()
    assert configuration.read_text() == before
