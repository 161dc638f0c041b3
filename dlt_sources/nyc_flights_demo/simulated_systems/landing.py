"""The landing folder: one CSV file of flights per month.

The landed months are the clock of all simulated systems: the weather service reads them too.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from dlt_sources.nyc_flights_demo.simulated_systems import original, settings

# A file of another year, so that it does not count as a landed month.
_BREAKING_NAME = f"flights-{settings.YEAR + 1}-01.csv"
_LANDED_NAME = re.compile(rf"flights-{settings.YEAR}-(\d\d)\.csv")


def file_of_month(landing: Path, month: int) -> Path:
    """Return the path of the file with the flights of a month, landed or not."""
    return landing / f"flights-{settings.YEAR}-{month:02d}.csv"


def landed_months(landing: Path) -> frozenset[int]:
    """Return the months whose file is in the landing folder."""
    if not landing.is_dir():
        return frozenset()
    names = (_LANDED_NAME.fullmatch(path.name) for path in landing.iterdir())
    return frozenset(int(name[1]) for name in names if name)


def land_months(landing: Path, months: Iterable[int]) -> list[Path]:
    """Write the file of each month that has not landed yet.

    A file appears complete, under its final name, or not at all, and is never rewritten; a second
    call changes nothing. Files are completed one after the other, so their modification times
    increase in the order in which they become visible: a reader whose cursor is the modification
    time misses none.

    Returns:
        The new files, ordered by month.

    Raises:
        ValueError: A month is not one of the year's.
        OriginalDataMissingError: The original data are not installed.
    """
    wanted = set(months)
    if unknown := sorted(wanted - set(settings.MONTHS)):
        msg = f"not a valid month: {unknown}; use 1 to 12"
        raise ValueError(msg)
    missing = sorted(wanted - landed_months(landing))
    if not missing:
        return []
    landing.mkdir(parents=True, exist_ok=True)
    header, lines = original.read_flight_lines()
    return [_drop(file_of_month(landing, month), [header, *lines[month]]) for month in missing]


def land_breaking_file(landing: Path) -> Path:
    """Write a file with one flight and a column that the contract does not have, `gate`.

    Returns:
        The file.

    Raises:
        OriginalDataMissingError: The original data are not installed.
    """
    landing.mkdir(parents=True, exist_ok=True)
    header, lines = original.read_flight_lines()
    flight = lines[settings.MONTHS[0]][0]
    content = [header.rstrip(b"\r\n") + b",gate\n", flight.rstrip(b"\r\n") + b",B12\n"]
    return _drop(landing / _BREAKING_NAME, content)


def remove_breaking_file(landing: Path) -> bool:
    """Delete the file with the additional column; return whether there was one."""
    file = landing / _BREAKING_NAME
    existed = file.exists()
    file.unlink(missing_ok=True)
    return existed


def _drop(path: Path, lines: list[bytes]) -> Path:
    # The temporary name does not match `*.csv`, so no reader picks up a partial file, and it is the
    # same every time, so the leftover of a killed process is overwritten.
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return path


def count_landed_flights(landing: Path) -> int:
    """Count the flights in all landed files."""
    total = 0
    for month in landed_months(landing):
        with file_of_month(landing, month).open("rb") as file:
            total += sum(1 for _ in file) - 1
    return total
