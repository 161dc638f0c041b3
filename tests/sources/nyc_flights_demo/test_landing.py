import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dlt_sources.nyc_flights_demo.simulated_systems import SimulatedSystems, landing


def _fingerprints(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder.iterdir()}


def test_the_year_lands_as_one_file_per_month_with_every_flight_once(
    whole_year: SimulatedSystems,
) -> None:
    """336,776 flights, each in its month's file, under the original's header."""
    flights: Counter[tuple[str, ...]] = Counter()
    for month in range(1, 13):
        path = landing.file_of_month(whole_year.landing, month)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                assert int(row["month"]) == month
                flights[row["carrier"], row["flight"], row["origin"], row["time_hour"]] += 1
    assert len(list(whole_year.landing.iterdir())) == 12
    assert flights.total() == len(flights) == 336_776


def test_a_missing_value_lands_as_na(
    whole_year: SimulatedSystems,
) -> None:
    """The reader has to interpret `NA`, as with real files."""
    with landing.file_of_month(whole_year.landing, 1).open(newline="") as file:
        assert sum(row["dep_time"] == "NA" for row in csv.DictReader(file)) == 521


def test_landing_again_changes_no_file(systems: SimulatedSystems) -> None:
    """A landed file is never rewritten, not even with the same content."""
    assert len(systems.land(through=2)) == 2
    before = _fingerprints(systems.landing)
    assert systems.land(through=2) == []
    assert _fingerprints(systems.landing) == before
    assert [p.name for p in systems.land(through=3)] == ["flights-2013-03.csv"]
    assert before.items() <= _fingerprints(systems.landing).items()


def test_modification_times_increase_in_the_order_in_which_files_become_visible(
    systems: SimulatedSystems,
) -> None:
    """A reader whose cursor is the newest modification time misses no file."""
    systems.land(through=4)
    times = [landing.file_of_month(systems.landing, m).stat().st_mtime_ns for m in range(1, 5)]
    assert times == sorted(times)


def test_a_partial_file_is_invisible_and_overwritten(
    systems: SimulatedSystems,
) -> None:
    """The leftover of a killed process matches no glob and is not a landed month."""
    systems.landing.mkdir(parents=True)
    leftover = systems.landing / ".flights-2013-01.csv.part"
    leftover.write_text("year,month\n2013,")
    assert list(systems.landing.glob("*.csv")) == []
    assert systems.landed_months == frozenset()
    systems.land(through=1)
    assert [p.name for p in systems.landing.iterdir()] == ["flights-2013-01.csv"]
    assert landing.count_landed_flights(systems.landing) == 27_004


def test_a_landing_that_is_killed_leaves_only_complete_files(systems: SimulatedSystems) -> None:
    """Killed at any time: every file with a final name contains its whole month."""
    command = [
        sys.executable,
        "-m",
        "dlt_sources.nyc_flights_demo.simulated_systems",
        "--folder",
        str(systems.folder),
    ]
    process = subprocess.Popen([*command, "land", "--through", "12"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not systems.landed_months and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert systems.landed_months
    systems.land(through=12)
    assert landing.count_landed_flights(systems.landing) == 336_776


@pytest.mark.parametrize("through", [0, 13, -1])
def test_an_invalid_month_is_rejected_and_nothing_lands(
    systems: SimulatedSystems, through: int
) -> None:
    """The error names the valid months."""
    with pytest.raises(ValueError, match="1 to 12"):
        systems.land(through=through)
    assert not systems.folder.exists()


def test_without_the_package_the_error_names_the_extra(
    systems: SimulatedSystems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is in the extra `demo`, which a production install does not include."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"floe-ingestion-defs\[demo\]"):
        systems.land(through=1)
