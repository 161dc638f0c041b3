"""The simulated source systems and the operations that change them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dlt_sources.nyc_flights_demo.simulated_systems import landing, reference_database, settings
from dlt_sources.nyc_flights_demo.simulated_systems.weather import Weather
from dlt_sources.nyc_flights_demo.simulated_systems.weather_api import WeatherServer


@dataclass(frozen=True)
class SimulatedSystems:
    """The three source systems that the worked example loads from.

    All operations are idempotent, so a process that was killed can simply be started again.

    Example:
        >>> systems = SimulatedSystems(Path("/tmp/systems"))
        >>> systems.land(through=6)
        >>> with systems.serve() as environment:
        ...     os.environ.update(environment)

    Attributes:
        folder: The folder of the systems' files.
    """

    folder: Path = field(default_factory=settings.simulated_systems_folder)

    @property
    def landing(self) -> Path:
        """The landing folder of the flights."""
        return self.folder.absolute() / "landing"

    @property
    def database(self) -> Path:
        """The SQLite file with airlines, airports and planes."""
        return self.folder.absolute() / "reference.db"

    @property
    def landed_months(self) -> frozenset[int]:
        """The months that have landed."""
        return landing.landed_months(self.landing)

    def land(self, *, through: int) -> list[Path]:
        """Build the reference database, and land the flights from January through a month.

        Args:
            through: The last month to land, 1 to 12.

        Returns:
            The new files.

        Raises:
            ValueError: `through` is not a valid month.
            OriginalDataMissingError: The original data are not installed.
        """
        if through not in settings.MONTHS:
            msg = f"through={through} is not a valid month; use 1 to 12"
            raise ValueError(msg)
        reference_database.build_database(self.database)
        return landing.land_months(self.landing, range(1, through + 1))

    def weather_server(self, port: int = 0) -> WeatherServer:
        """Return the weather service, bound to a port (0: a free one) but not yet running."""
        return WeatherServer(Weather(lambda: self.landed_months), port)

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[dict[str, str]]:
        """Serve the weather while the block runs.

        Yields:
            The environment variables that the example's `defs.yaml` refers to.
        """
        with self.weather_server(port).running() as url:
            yield self.environment(url)

    def environment(self, weather_url: str) -> dict[str, str]:
        """Return the environment variables that the example's `defs.yaml` refers to."""
        return {
            settings.LANDING_VARIABLE: str(self.landing),
            settings.DATABASE_VARIABLE: f"sqlite:///{self.database}",
            settings.WEATHER_URL_VARIABLE: weather_url,
            settings.WEATHER_API_KEY_VARIABLE: settings.WEATHER_API_KEY,
        }

    def count_rows(self) -> Mapping[str, int]:
        """Return the rows that each table has once everything available has been loaded."""
        return {
            "flights": landing.count_landed_flights(self.landing),
            "weather": len(Weather(lambda: self.landed_months).known()),
            **reference_database.count_rows(self.database),
        }

    def count_updates(self, table: str, *, after: datetime | None) -> int:
        """Count the rows of a reference table updated later than `after`; None counts all."""
        return reference_database.count_updates(self.database, table, after)
