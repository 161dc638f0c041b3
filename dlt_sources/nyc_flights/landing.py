"""The landing folder: one CSV file of flights a month, dropped as another system would.

Which months have landed is the outside world's clock; the weather service reads it here too.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from dlt_sources.nyc_flights import original, settings

_LANDED_NAME = re.compile(rf"flights-{settings.YEAR}-(\d\d)\.csv")


def file_of_month(landing: Path, month: int) -> Path:
    """The file that holds, or will hold, the flights of a month."""
    return landing / f"flights-{settings.YEAR}-{month:02d}.csv"


def landed_months(landing: Path) -> frozenset[int]:
    """The months whose file stands in the landing folder."""
    if not landing.is_dir():
        return frozenset()
    names = (_LANDED_NAME.fullmatch(path.name) for path in landing.iterdir())
    return frozenset(int(name[1]) for name in names if name)


def land_months(landing: Path, months: Iterable[int]) -> list[Path]:
    """Drops the flights of each month that has not landed yet.

    A file appears whole, under its final name, or not at all, and is never written again; calling
    this a second time changes nothing. Files are finished one after the other, so that modification
    times rise in the order in which files become visible: a reader that goes by modification time
    misses none.

    Returns:
        The files that are new, by month.

    Raises:
        ValueError: A month is not one of the year's.
        OriginalDataMissingError: The original data are not installed.
    """
    wanted = set(months)
    if unknown := sorted(wanted - set(settings.MONTHS)):
        raise ValueError(f"no such month: {unknown}; the year has the months 1 to 12")
    missing = sorted(wanted - landed_months(landing))
    if not missing:
        return []
    landing.mkdir(parents=True, exist_ok=True)
    header, lines = original.read_flight_lines()
    return [_drop(file_of_month(landing, month), [header, *lines[month]]) for month in missing]


def _drop(path: Path, lines: list[bytes]) -> Path:
    # The name while writing matches no `*.csv`, so a half-written file is nobody's input, and is
    # the same every time, so what a killed process left is overwritten.
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return path


def count_landed_flights(landing: Path) -> int:
    """The number of flights in all files that have landed."""
    total = 0
    for month in landed_months(landing):
        with file_of_month(landing, month).open("rb") as file:
            total += sum(1 for _ in file) - 1
    return total
