import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.types import LongType, StringType, TimestamptzType

from dlt_sources.nyc_flights_demo.simulated_systems.settings import ROWS_OF_THE_YEAR
from floe_ingestion_defs.destinations import open_catalog

pytestmark = pytest.mark.timeout(600)

KEYS = {
    "flights": ["carrier", "flight", "origin", "time_hour"],
    "weather": ["origin", "time_hour"],
    "airlines": ["carrier"],
    "airports": ["faa"],
    "planes": ["tailnum"],
}
FIRST_HALF = {
    "flights": 166_158,
    "weather": 13_014,
    "airlines": 16,
    "airports": 1_458,
    "planes": 3_322,
}
SECOND_HALF = {"flights": 170_618, "weather": 13_101, "airlines": 0, "airports": 0, "planes": 0}
NOTHING = dict.fromkeys(ROWS_OF_THE_YEAR, 0)


@dataclass(frozen=True)
class Demo:
    """One invocation of the demo: its output, exit code and the resulting snapshots."""

    output: str
    code: int
    snapshots: Mapping[str, list[int]]


@dataclass(frozen=True)
class Home:
    """A FLOE_HOME in which the demo ran twice."""

    folder: Path
    catalog: Catalog
    demos: list[Demo]

    def read(self, table: str) -> pa.Table:
        return self.catalog.load_table(("bronze", table)).scan().to_arrow()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("floe_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOE_HOME", str(folder))
        catalog = open_catalog()
        demos = [_run_demo(folder, catalog), _run_demo(folder, catalog)]
        yield Home(folder, catalog, demos)


def _command(folder: Path) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "FLOE_HOME": str(folder), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    return [sys.executable, "-m", "dlt_sources.nyc_flights_demo"], environment


def _run_demo(folder: Path, catalog: Catalog) -> Demo:
    command, environment = _command(folder)
    process = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    tables = [catalog.load_table(name) for name in catalog.list_tables("bronze")]
    snapshots = {
        table.name()[-1]: [snapshot.snapshot_id for snapshot in table.snapshots()]
        for table in tables
        if table.name()[-1] in ROWS_OF_THE_YEAR
    }
    return Demo(process.stdout, process.returncode, snapshots)


def test_the_demo_ends_with_a_table_and_the_command_that_opens_the_ui(home: Home) -> None:
    """Each asset's row shows what each run loaded, and the total."""
    first = home.demos[0]
    assert first.code == 0, first.output
    for name, total in ROWS_OF_THE_YEAR.items():
        (row,) = [line for line in first.output.splitlines() if f"__{name} " in line]
        assert row.split()[1:6] == [
            f"{FIRST_HALF[name]:,}",
            f"{SECOND_HALF[name]:,}",
            "0",
            f"{total:,}",
            str(home.demos[0].snapshots[name][-1]),
        ]
    assert "All row counts are correct" in first.output
    assert first.output.rstrip().endswith("make dev")


def test_the_tables_have_every_row_of_the_year_once(home: Home) -> None:
    """The counts are exact, and no key occurs twice."""
    for name, rows in ROWS_OF_THE_YEAR.items():
        table = home.read(name)
        assert table.num_rows == rows
        assert table.group_by(KEYS[name]).aggregate([]).num_rows == rows


def test_missing_values_are_missing_and_numbers_are_numbers(home: Home) -> None:
    """As many nulls as the originals have `NA`, and sums that only numbers have."""
    flights, weather, planes = home.read("flights"), home.read("weather"), home.read("planes")
    missing = {
        "flights": {"dep_time": 8_255, "arr_delay": 9_430, "tailnum": 2_512, "origin": 0},
        "weather": {"wind_gust": 20_778, "pressure": 2_729, "precip": 0},
        "planes": {"year": 70, "speed": 3_299, "seats": 0},
    }
    for name, columns in missing.items():
        table = home.read(name)
        assert {column: table[column].null_count for column in columns} == columns
    assert pc.sum(flights["distance"]).as_py() == 350_217_607
    assert all(pa.types.is_floating(weather.schema.field(c).type) for c in ("precip", "pressure"))
    assert all(pa.types.is_integer(planes.schema.field(c).type) for c in ("year", "speed"))
    assert not any("__v_" in name for name in weather.column_names)


def test_declared_columns_have_their_types_in_iceberg(home: Home) -> None:
    """Independent of what the CSV looks like."""
    schema = home.catalog.load_table("bronze.flights").schema()
    for column, kind in (("dep_delay", LongType), ("tailnum", StringType)):
        assert isinstance(schema.find_field(column).field_type, kind)
    assert isinstance(schema.find_field("time_hour").field_type, TimestamptzType)


def test_a_second_demo_changes_nothing(home: Home) -> None:
    """Three more runs add neither rows nor snapshots."""
    first, second = home.demos
    assert second.code == 0, second.output
    assert "Nothing was new and nothing changed" in second.output
    assert second.snapshots == first.snapshots


def test_no_run_creates_a_snapshot_if_nothing_was_new(home: Home) -> None:
    """Flights and weather were new twice, the reference tables once."""
    snapshots = {name: len(ids) for name, ids in home.demos[-1].snapshots.items()}
    assert snapshots["flights"] == 2
    assert all(snapshots[name] == 1 for name in ("airlines", "airports", "planes"))


def test_the_instance_of_the_ui_has_the_runs_and_materializations(home: Home) -> None:
    """Six runs of the job, all successful, with the numbers in their metadata."""
    with dg.DagsterInstance.from_config(str(home.folder / "dagster")) as instance:
        runs = instance.get_runs()
        assert Counter(run.status for run in runs) == {dg.DagsterRunStatus.SUCCESS: 6}
        # Dagster's timeline and the pages of jobs show only the runs of a code location.
        locations = {run.tags["dagster/code_location"] for run in runs}
        assert locations == {"floe_ingestion"}
        assert all(run.remote_job_origin for run in runs)
        loaded: dict[str, list[object]] = {name: [] for name in ROWS_OF_THE_YEAR}
        for key in instance.all_asset_keys():
            name = key.to_user_string().rpartition("__")[2]
            for record in instance.fetch_materializations(key, limit=10, ascending=True).records:
                assert record.asset_materialization
                loaded[name].append(record.asset_materialization.metadata["rows_loaded"].value)
    for name, rows in loaded.items():
        assert rows == [FIRST_HALF[name], SECOND_HALF[name], 0, 0, 0, 0]


def test_dagster_s_own_commands_work_after_the_demo_s_environment_is_sourced(home: Home) -> None:
    """A second load of the database finds nothing new, on the demo's catalog and instance."""
    environment_file = home.folder / "environment.sh"
    assert f"source {environment_file}" in home.demos[0].output
    asset = "ingestion__nyc_reference__airlines"
    launch = f"dg launch --assets {asset}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", f'source "{environment_file}"; {launch}'],
        env={"PATH": path, "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with dg.DagsterInstance.from_config(str(home.folder / "dagster")) as instance:
        newest = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert newest is not None
        assert newest.run_id == instance.get_runs(limit=1)[0].run_id
        assert newest.asset_materialization is not None
        assert newest.asset_materialization.metadata["dagster/row_count"].value == 16


@pytest.mark.all_cases
@pytest.mark.parametrize("last_line", ["Jan-Jun: flights", "Jan-Jun: planes", "Jul-Dec: flights"])
def test_a_demo_that_was_killed_is_completed_by_the_next(tmp_path: Path, last_line: str) -> None:
    """Killed in the middle of a load: the next demo completes the year, each row once."""
    command, environment = _command(tmp_path)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert any(line.startswith(last_line) for line in process.stdout)
    process.kill()
    process.wait()
    completed = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "All row counts are correct" in completed.stdout
