"""The source `dlt_sources.nyc_flights`, against the simulated weather service."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from servers.process import free_port

from dlt_sources.nyc_flights import source
from dlt_sources.nyc_flights_demo.simulated_systems import SimulatedSystems, landing, settings
from floe_ingestion_defs.dlt_plugin import ErrorCategory, IngestionError
from floe_ingestion_defs.pytest_plugin import RunSource

JANUARY, FEBRUARY = 2_226, 2_010


@pytest.fixture
def systems(tmp_path: Path) -> SimulatedSystems:
    return SimulatedSystems(tmp_path / "systems")


@pytest.fixture
def url(systems: SimulatedSystems) -> Iterator[str]:
    """The weather service with January landed."""
    landing.land_months(systems.landing, [1])
    with systems.weather_server().running() as url:
        yield url


def _configure(url: str, api_key: str = settings.WEATHER_API_KEY) -> dict[str, Any]:
    return {
        "source_type": "python",
        "source_config": {
            "factory": "dlt_sources.nyc_flights:source",
            "resource_names": ["weather"],
            "arguments": {"base_url": url, "api_key": api_key, "page_size": 1_000},
        },
    }


def test_every_observation_is_loaded_once(
    systems: SimulatedSystems, url: str, run_source: RunSource
) -> None:
    """A load requests only what is new since the last one."""
    loaded = []
    for month in (1, 2, 2):
        landing.land_months(systems.landing, [month])
        loaded.append(run_source(_configure(url)))
    assert [run.result.rows_loaded for run in loaded] == [JANUARY, FEBRUARY, 0]
    weather = loaded[-1].tables["weather"]
    assert weather.num_rows == JANUARY + FEBRUARY
    assert weather.group_by(["origin", "time_hour"]).aggregate([]).num_rows == weather.num_rows


def test_an_api_that_does_not_answer_is_an_error_that_says_how_to_start_it(
    run_source: RunSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the assets are materialized without `make dev`, nothing serves the weather."""
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    with pytest.raises(
        IngestionError, match=r"does not answer.*`make weather` starts it"
    ) as raised:
        run_source(_configure(f"http://127.0.0.1:{free_port()}"))
    assert raised.value.category is ErrorCategory.TRANSIENT


def test_arguments_that_are_not_given_come_from_the_configuration_of_dlt(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are those of the source's README."""
    monkeypatch.setenv("SOURCES__NYC_FLIGHTS__BASE_URL", url)
    monkeypatch.setenv("SOURCES__NYC_FLIGHTS__API_KEY", settings.WEATHER_API_KEY)
    assert len(list(source())) == JANUARY


def test_a_time_range_is_read_from_its_start_to_before_its_end(url: str) -> None:
    """dlt passes the range by the resource's incremental, for a backfill."""
    start, end = "2013-01-10T00:00:00Z", "2013-01-11T00:00:00Z"
    day = dlt.sources.incremental("time_hour", initial_value=start, end_value=end)
    rows = list(source(url, settings.WEATHER_API_KEY).resources["weather"](time_hour=day))
    hours = {row["time_hour"] for row in rows}
    assert (min(hours), max(hours), len(hours)) == (start, "2013-01-10T23:00:00Z", 24)


def test_a_wrong_key_is_a_permanent_error_that_does_not_show_it(
    url: str, run_source: RunSource
) -> None:
    """Retrying does not help, and the key is a secret."""
    with pytest.raises(IngestionError) as failed:
        run_source(_configure(url, api_key="wrong-key"))
    assert failed.value.category is ErrorCategory.PERMANENT
    assert "401" in str(failed.value)
    assert "wrong-key" not in str(failed.value)


def test_the_source_imports_neither_dagster_nor_this_project() -> None:
    """It can be used in a plain dlt pipeline."""
    shown = subprocess.run(
        [sys.executable, "-c", "import sys, dlt_sources.nyc_flights; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    packages = {name.partition(".")[0] for name in shown}
    assert not packages & {"dagster", "dagster_dlt"}
    assert "floe_ingestion_defs.dlt_plugin" not in shown
    assert not [name for name in shown if "nyc_flights_demo" in name]
