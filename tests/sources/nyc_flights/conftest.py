from collections.abc import Iterator
from pathlib import Path

import pytest

from dlt_sources.nyc_flights import OutsideWorld


@pytest.fixture
def world(tmp_path: Path) -> OutsideWorld:
    """A world in which nothing has happened yet."""
    return OutsideWorld(tmp_path / "world")


@pytest.fixture(scope="session")
def whole_year(tmp_path_factory: pytest.TempPathFactory) -> OutsideWorld:
    """A world in which all twelve months have landed; not to be changed."""
    world = OutsideWorld(tmp_path_factory.mktemp("whole_year"))
    world.land(through=12)
    return world


@pytest.fixture(scope="session")
def weather_url(whole_year: OutsideWorld) -> Iterator[str]:
    """The weather service of the whole year, over HTTP."""
    with whole_year.weather_server().running() as url:
        yield url
