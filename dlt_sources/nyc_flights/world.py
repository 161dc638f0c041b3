"""The outside world as one thing: a folder that holds it, and what can happen in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dlt_sources.nyc_flights import landing, reference, settings
from dlt_sources.nyc_flights.weather import Weather
from dlt_sources.nyc_flights.weather_api import WeatherServer


@dataclass(frozen=True)
class OutsideWorld:
    """The three systems that the worked example loads from.

    Whatever is done to it can be done again without changing anything, so a process that was
    killed on the way is simply started once more.

    Example:
        >>> world = OutsideWorld(Path("/tmp/world"))
        >>> world.land(through=6)
        >>> with world.serve() as environment:
        ...     os.environ.update(environment)

    Attributes:
        folder: Where the world keeps its files.
    """

    folder: Path = field(default_factory=settings.outside_world_folder)

    @property
    def landing(self) -> Path:
        """The folder that flights are dropped into."""
        return self.folder.absolute() / "landing"

    @property
    def database(self) -> Path:
        """The SQLite file with airlines, airports and planes."""
        return self.folder.absolute() / "reference.db"

    @property
    def landed_months(self) -> frozenset[int]:
        """The months that have landed so far."""
        return landing.landed_months(self.landing)

    def land(self, *, through: int) -> list[Path]:
        """Builds the reference database, and drops the flights of January to `through`.

        Args:
            through: The last month to land, 1 to 12.

        Returns:
            The flight files that are new.

        Raises:
            ValueError: `through` is not a month.
            OriginalDataMissingError: The original data are not installed.
        """
        if through not in settings.MONTHS:
            raise ValueError(f"through={through} is not a month; give 1 to 12")
        reference.build_database(self.database)
        return landing.land_months(self.landing, range(1, through + 1))

    def weather_server(self, port: int = 0) -> WeatherServer:
        """Binds the weather service to a port, 0 for a free one; it does not answer yet."""
        return WeatherServer(Weather(lambda: self.landed_months), port)

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[dict[str, str]]:
        """Serves the weather while the block runs.

        Yields:
            The environment variables that the worked example's configuration refers to.
        """
        with self.weather_server(port).running() as url:
            yield self.environment(url)

    def environment(self, weather_url: str) -> dict[str, str]:
        """The environment variables that the worked example's configuration refers to."""
        return {
            settings.LANDING_VARIABLE: str(self.landing),
            settings.DATABASE_VARIABLE: f"sqlite:///{self.database}",
            settings.WEATHER_URL_VARIABLE: weather_url,
        }

    def count_rows(self) -> Mapping[str, int]:
        """The rows that each table of the worked example has when all that is here was loaded."""
        return {
            "flights": landing.count_landed_flights(self.landing),
            "weather": len(Weather(lambda: self.landed_months).known()),
            **reference.count_rows(self.database),
        }

    def count_updates(self, table: str, *, after: datetime | None) -> int:
        """The rows of a reference table that were updated later than `after`; None means all."""
        return reference.count_updates(self.database, table, after)
