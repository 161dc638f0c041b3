"""What is fixed about the worked example: names, types, sizes, and where its world lives."""

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

# The package writes a missing value as this text.
MISSING = "NA"

DEFAULT_PAGE_SIZE = 1_000
# A page of the largest size is about 1.3 MB of JSON, so no client can make the server build more.
LARGEST_PAGE_SIZE = 5_000

# What the whole year holds. No weather row is a duplicate on (origin, time_hour): the three that
# look like one on the local clock (1 o'clock on 3 November, when daylight saving time ended and
# the hour was lived twice) differ in time_hour, which is UTC.
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

# The numbers of a weather observation; its other columns are text. A measure is a float in every
# row, also where the file says `10`: a column of JSON that is an integer in one row and a float in
# the next makes two columns in most loaders, dlt's among them.
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
    """The folder that holds `pyproject.toml` and `workspace.yaml`."""
    return Path(__file__).resolve().parents[2]


def floe_home() -> Path:
    """Where catalog, warehouse, Dagster's instance and the outside world live on this machine.

    `$FLOE_HOME`, or `.floe` in the project's root; absolute either way.
    """
    configured = os.environ.get("FLOE_HOME")
    return Path(configured).resolve() if configured else project_root() / ".floe"


def outside_world_folder() -> Path:
    """Where the outside world keeps its files unless told otherwise."""
    return floe_home() / "outside_world"
