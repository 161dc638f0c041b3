"""Constants of the simulated systems: names, types, sizes and folders."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

YEAR = 2013
MONTHS = range(1, 13)

# The environment variables that defs.yaml refers to.
LANDING_VARIABLE = "NYC_FLIGHTS_LANDING"
DATABASE_VARIABLE = "NYC_FLIGHTS_DATABASE"
WEATHER_URL_VARIABLE = "NYC_FLIGHTS_WEATHER_URL"
WEATHER_API_KEY_VARIABLE = "NYC_FLIGHTS_WEATHER_API_KEY"

# What the weather service expects as a bearer token. Not a secret: the service is simulated.
WEATHER_API_KEY = "simulated"
# Where `make weather` serves it; `make dev` and `make demo` use a free port.
WEATHER_PORT = 8013
WEATHER_URL = f"http://127.0.0.1:{WEATHER_PORT}"

# How the package writes a missing value.
MISSING = "NA"

DEFAULT_PAGE_SIZE = 1_000
# A page of this size is about 1.3 MB of JSON, which bounds what the server builds per request.
LARGEST_PAGE_SIZE = 5_000

# The rows of the whole year. No weather row is a duplicate on (origin, time_hour): the three that
# look like one in local time (01:00 on 3 November, the hour that repeats when daylight saving time
# ends) differ in time_hour, which is UTC.
ROWS_OF_THE_YEAR: Mapping[str, int] = MappingProxyType(
    {"flights": 336_776, "weather": 26_115, "planes": 3_322, "airports": 1_458, "airlines": 16}
)


@dataclass(frozen=True)
class ReferenceTable:
    """A table of the reference database.

    Attributes:
        key: The primary key's column.
        columns: SQLite's declared type of each column, in the order of the CSV file. SQLAlchemy
            reflects a column's type from these words.
    """

    key: str
    columns: Mapping[str, str]


REFERENCE_TABLES: Mapping[str, ReferenceTable] = MappingProxyType(
    {
        "airlines": ReferenceTable("carrier", {"carrier": "TEXT", "name": "TEXT"}),
        "airports": ReferenceTable(
            "faa",
            {
                "faa": "TEXT",
                "name": "TEXT",
                "lat": "REAL",
                "lon": "REAL",
                "alt": "INTEGER",
                "tz": "INTEGER",
                "dst": "TEXT",
                "tzone": "TEXT",
            },
        ),
        "planes": ReferenceTable(
            "tailnum",
            {
                "tailnum": "TEXT",
                "year": "INTEGER",
                "type": "TEXT",
                "manufacturer": "TEXT",
                "model": "TEXT",
                "engines": "INTEGER",
                "seats": "INTEGER",
                "speed": "INTEGER",
                "engine": "TEXT",
            },
        ),
    }
)

# The numeric columns of a weather observation; the others are strings. A measure is a float in
# every row, also where the file has `10`: most loaders, dlt among them, make two columns of a JSON
# field that is an integer in one row and a float in the next.
WEATHER_NUMBERS: Mapping[str, type[int] | type[float]] = MappingProxyType(
    {
        "year": int,
        "month": int,
        "day": int,
        "hour": int,
        "temp": float,
        "dewp": float,
        "humid": float,
        "wind_dir": int,
        "wind_speed": float,
        "wind_gust": float,
        "precip": float,
        "pressure": float,
        "visib": float,
    }
)


def project_root() -> Path:
    """Return the folder with `pyproject.toml` and `workspace.yaml`."""
    return Path(__file__).resolve().parents[3]


def floe_home() -> Path:
    """Return the folder of the catalog, the warehouse, the Dagster instance and these systems.

    It is `$FLOE_HOME`, or `.floe` in the project's root; absolute in either case.
    """
    configured = os.environ.get("FLOE_HOME")
    return Path(configured).resolve() if configured else project_root() / ".floe"


def simulated_systems_folder() -> Path:
    """Return the default folder of the simulated systems' files."""
    return floe_home() / "simulated_systems"
