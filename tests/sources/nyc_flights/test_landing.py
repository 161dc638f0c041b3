import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dlt_sources.nyc_flights import OutsideWorld, landing


def _fingerprints(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder.iterdir()}


def test_the_year_lands_as_one_file_a_month_with_every_flight_once(
    whole_year: OutsideWorld,
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


def test_a_missing_value_lands_as_the_text_that_the_original_has(whole_year: OutsideWorld) -> None:
    """To read `NA` as missing is the reader's work, as with real files."""
    with landing.file_of_month(whole_year.landing, 1).open(newline="") as file:
        assert sum(row["dep_time"] == "NA" for row in csv.DictReader(file)) == 521


def test_landing_again_changes_no_file(world: OutsideWorld) -> None:
    """A file that has landed is never written again, not even with the same content."""
    assert len(world.land(through=2)) == 2
    before = _fingerprints(world.landing)
    assert world.land(through=2) == []
    assert _fingerprints(world.landing) == before
    assert [p.name for p in world.land(through=3)] == ["flights-2013-03.csv"]
    assert before.items() <= _fingerprints(world.landing).items()


def test_modification_times_rise_in_the_order_in_which_files_become_visible(
    world: OutsideWorld,
) -> None:
    """A reader that keeps the newest modification time as its cursor misses no file."""
    world.land(through=4)
    times = [landing.file_of_month(world.landing, m).stat().st_mtime_ns for m in range(1, 5)]
    assert times == sorted(times)


def test_a_file_that_is_being_written_is_not_seen_and_a_killed_landing_starts_over(
    world: OutsideWorld,
) -> None:
    """What a killed process leaves matches no glob, is no landed month, and is overwritten."""
    world.landing.mkdir(parents=True)
    leftover = world.landing / ".flights-2013-01.csv.part"
    leftover.write_text("year,month\n2013,")
    assert list(world.landing.glob("*.csv")) == []
    assert world.landed_months == frozenset()
    world.land(through=1)
    assert [p.name for p in world.landing.iterdir()] == ["flights-2013-01.csv"]
    assert landing.count_landed_flights(world.landing) == 27_004


def test_a_landing_that_is_killed_leaves_only_whole_files(world: OutsideWorld) -> None:
    """Killed at any moment: every file that is there under its name has its whole month."""
    command = [sys.executable, "-m", "dlt_sources.nyc_flights", "--world", str(world.folder)]
    process = subprocess.Popen([*command, "land", "--through", "12"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not world.landed_months and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert world.landed_months
    world.land(through=12)
    assert landing.count_landed_flights(world.landing) == 336_776


@pytest.mark.parametrize("through", [0, 13, -1])
def test_a_month_that_is_none_is_refused_and_nothing_lands(
    world: OutsideWorld, through: int
) -> None:
    """The error says which months there are."""
    with pytest.raises(ValueError, match="1 to 12"):
        world.land(through=through)
    assert not world.folder.exists()


def test_without_the_package_the_error_names_the_extra(
    world: OutsideWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is in the extra `demo`, which a production install does not have."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"floe-ingestion-defs\[demo\]"):
        world.land(through=1)
