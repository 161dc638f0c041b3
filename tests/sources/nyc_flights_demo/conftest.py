from collections.abc import Iterator
from pathlib import Path

import pytest

from dlt_sources.nyc_flights_demo.simulated_systems import SimulatedSystems


@pytest.fixture
def systems(tmp_path: Path) -> SimulatedSystems:
    """Systems in which nothing has landed yet."""
    return SimulatedSystems(tmp_path / "systems")


@pytest.fixture(scope="session")
def whole_year(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSystems:
    """Systems in which all twelve months have landed; read-only."""
    systems = SimulatedSystems(tmp_path_factory.mktemp("whole_year"))
    systems.land(through=12)
    return systems


@pytest.fixture(scope="session")
def weather_url(whole_year: SimulatedSystems) -> Iterator[str]:
    """The weather service of the whole year, over HTTP."""
    with whole_year.weather_server().running() as url:
        yield url
