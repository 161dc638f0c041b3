import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from dlt_sources.nyc_flights_demo.simulated_systems import SimulatedSystems
from dlt_sources.nyc_flights_demo.simulated_systems.__main__ import main


def test_land_lists_the_new_files_and_the_rows_of_each_table(
    systems: SimulatedSystems, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second call lists no new file."""
    arguments = ["--folder", str(systems.folder), "land", "--through", "1"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "flights-2013-01.csv" in said
    assert re.search(r"flights +27,004", said)
    assert re.search(r"weather +2,226", said)
    assert main(arguments) == 0
    assert "flights-2013-01.csv" not in capsys.readouterr().out


def test_break_lands_a_file_with_one_more_column_and_repair_deletes_it(
    systems: SimulatedSystems, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not count as a month, and both say what to do next."""
    systems.land(through=1)
    folder = ["--folder", str(systems.folder)]
    assert main([*folder, "break"]) == 0
    assert "make demo-repair" in capsys.readouterr().out
    month, broken = sorted(systems.landing.iterdir())
    header, row = broken.read_text().splitlines()
    assert header == f"{month.read_text().splitlines()[0]},gate"
    assert row.endswith(",B12")
    assert systems.landed_months == {1}
    assert main([*folder, "repair"]) == 0
    assert "Deleted" in capsys.readouterr().out
    assert list(systems.landing.iterdir()) == [month]
    assert main([*folder, "repair"]) == 0
    assert "nothing to delete" in capsys.readouterr().out


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_the_environment_and_ends_on_a_signal(
    whole_year: SimulatedSystems, ending: signal.Signals
) -> None:
    """A shell can evaluate the output; the service is ready once it is printed."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dlt_sources.nyc_flights_demo.simulated_systems",
            "--folder",
            whole_year.folder,
            "serve",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(5)]
    environment = dict(
        line.removeprefix("export ").strip().split("=", 1) for line in lines if "export" in line
    )
    url = environment["NYC_FLIGHTS_WEATHER_URL"]
    key = {"Authorization": f"Bearer {environment['NYC_FLIGHTS_WEATHER_API_KEY']}"}
    assert requests.get(f"{url}/weather", headers=key, timeout=30).json()["total"] == 26_115
    assert Path(environment["NYC_FLIGHTS_LANDING"]) == whole_year.landing
    assert environment["NYC_FLIGHTS_DATABASE"] == f"sqlite:///{whole_year.database}"
    process.send_signal(ending)
    assert process.wait(30) == 0


def test_the_default_folder_is_below_floe_home(tmp_path: Path) -> None:
    """The same FLOE_HOME as that of the default catalog."""
    said = subprocess.run(
        [sys.executable, "-m", "dlt_sources.nyc_flights_demo.simulated_systems", "status"],
        env={**os.environ, "FLOE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == f"{tmp_path / 'simulated_systems'}: 0 months have landed\n"
