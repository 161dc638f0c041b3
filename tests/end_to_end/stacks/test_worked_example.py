"""New York's flights through Dagster: the sources of `defs/nyc_flights`, on each stack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dlt_sources.nyc_flights_demo.local_instance import prepare_local_instance
from dlt_sources.nyc_flights_demo.run import load_job, read_tables, run_job
from dlt_sources.nyc_flights_demo.simulated_systems.landing import file_of_month, land_months
from dlt_sources.nyc_flights_demo.simulated_systems.settings import ROWS_OF_THE_YEAR
from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems

if TYPE_CHECKING:
    from pathlib import Path

    from servers.stack import Stack

pytestmark = pytest.mark.timeout(600)

REFERENCE = {"airlines": 16, "airports": 1_458, "planes": 3_322}
JANUARY, FEBRUARY = {"flights": 27_004}, {"flights": 24_951}


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of two months, which are read from the original once."""
    folder = tmp_path_factory.mktemp("months")
    land_months(folder, (1, 2))
    return folder


@pytest.mark.parametrize("stack", ["postgres", "postgres_s3"], indirect=True)
def test_two_months_load_exactly_what_is_new_each_time(
    stack: Stack, months: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three systems: each row once, and no row when nothing is new."""
    for name in ("FLOE_HOME", "DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # Put back what the next line changes.
    prepare_local_instance()
    systems = SimulatedSystems(stack.folder / "systems")
    systems.landing.mkdir(parents=True)
    job, loaded, weather = load_job(), [], 0
    with systems.serve() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for month in (1, 2, None):
            if month is not None:
                shutil.copy(file_of_month(months, month), systems.landing)
            systems.land(through=1)  # Only builds the reference database.
            held = systems.count_rows()
            run = run_job(job, f"{month or 'nothing'} new", lambda done: None)
            loaded.append({name: load.rows_loaded for name, load in run.loads.items()})
            assert loaded[-1].pop("weather") == held["weather"] - weather
            weather = held["weather"]
            assert {name: table.rows for name, table in read_tables().items()} == held
    nothing = dict.fromkeys(REFERENCE, 0)
    assert loaded == [JANUARY | REFERENCE, FEBRUARY | nothing, {"flights": 0} | nothing]


@pytest.mark.parametrize(
    "stack",
    [
        pytest.param("rest", marks=pytest.mark.rest),
        pytest.param("postgres", marks=pytest.mark.all_cases),
        pytest.param("postgres_s3", marks=pytest.mark.all_cases),
    ],
    indirect=True,
)
def test_every_table_of_the_year_has_the_exact_number_of_rows(stack: Stack) -> None:
    """The demo with a catalog from the environment instead of the embedded one."""
    done = subprocess.run(
        [sys.executable, "-m", "dlt_sources.nyc_flights_demo"],
        env={**os.environ, **stack.environment, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "All row counts are correct" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert not (stack.folder / "floe" / "catalog.db").exists()
    flights = stack.catalog().load_table("bronze.flights")
    assert flights.scan().count() == ROWS_OF_THE_YEAR["flights"]
    assert flights.location().startswith(stack.properties["warehouse"])
