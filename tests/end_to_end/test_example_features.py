"""The Dagster features of the worked example beside its loads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dlt_sources.nyc_flights_demo.simulated_systems.__main__ import main as simulate
from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems
from floe_ingestion_defs.definitions import defs
from floe_ingestion_defs.destinations import open_catalog

pytestmark = pytest.mark.timeout(600)

WEATHER = dg.AssetKey("ingestion__nyc_weather__weather")
HISTORY = "ingestion__nyc_weather_history"
MONTHS = {
    "dagster/asset_partition_range_start": "2013-02-01",
    "dagster/asset_partition_range_end": "2013-03-01",
}


@dataclass(frozen=True)
class Example:
    """The worked example with January to March landed and loaded."""

    systems: SimulatedSystems
    location: dg.Definitions
    instance: dg.DagsterInstance

    def look(self, sensor: str, cursor: str | None = None) -> Any:
        """One tick of a sensor."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            repository_def=self.location.get_repository_def(),
        )
        return self.location.resolve_sensor_def(sensor).evaluate_tick(context)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    home = tmp_path_factory.mktemp("floe_home")
    systems = SimulatedSystems(home / "simulated_systems")
    systems.land(through=3)
    with (
        pytest.MonkeyPatch.context() as patch,
        systems.serve() as served,
        dg.instance_for_test() as instance,
    ):
        for name, value in {**served, "FLOE_HOME": str(home)}.items():
            patch.setenv(name, value)
        location = defs()
        run = location.resolve_job_def("ingestion").execute_in_process(instance=instance)
        assert run.success
        yield Example(systems, location, instance)


def rows_of(table: str, columns: tuple[str, ...] = ("*",)) -> pa.Table:
    return open_catalog().load_table(table).scan(selected_fields=columns).to_arrow()


def test_every_check_passes_except_the_one_of_a_stale_source(example: Example) -> None:
    """One check of each kind; the weather ends in 2013, which is a warning."""
    loaded = {
        key
        for key in example.location.resolve_asset_graph().asset_check_keys
        if HISTORY not in key.asset_key.to_user_string()
    }
    history = example.instance.event_log_storage.get_asset_check_execution_history
    last = {key: history(key, limit=1)[0] for key in loaded}

    failed = {key: record for key, record in last.items() if record.status.value != "SUCCEEDED"}
    assert {key.name for key in loaded} == {
        "schema_contract",
        "not_null",
        "unique_key",
        "row_count_change",
        "freshness",
        "table_health",
    }
    assert set(failed) == {dg.AssetCheckKey(WEATHER, "freshness")}
    (record,) = failed.values()
    assert record.event is not None
    evaluation = record.event.get_dagster_event().asset_check_evaluation_data
    assert evaluation.severity == dg.AssetCheckSeverity.WARN


def test_a_backfill_reloads_a_range_of_months_in_one_run(example: Example) -> None:
    """It loads the same rows as the incremental source has for those months."""
    job = example.location.resolve_job_def(HISTORY)
    for _ in range(2):
        assert job.execute_in_process(instance=example.instance, tags=MONTHS).success

    columns = ("origin", "time_hour", "month", "temp")
    history, weather = (
        rows_of(f"bronze.{table}", columns) for table in ("weather_history", "weather")
    )
    order = [("time_hour", "ascending"), ("origin", "ascending")]
    wanted = weather.filter(pc.is_in(weather["month"], pa.array([2, 3]))).sort_by(order)
    assert history.select(columns).sort_by(order) == wanted.select(columns)
    assert history.num_rows == 4_237


def test_a_file_that_lands_is_loaded_by_a_sensor(example: Example) -> None:
    """The second tick that finds the same listing requests the run."""
    first = example.look("ingestion__nyc_flights_new_files")
    second = example.look("ingestion__nyc_flights_new_files", first.cursor)

    assert first.run_requests == []
    assert len(second.run_requests) == 1


def test_a_table_of_another_writer_is_observed(
    example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is downstream of the flights in the lineage."""
    assert example.look("snapshots__silver__delays").asset_events == []
    assert simulate(["analyse"]) == 0
    assert "9 rows" in capsys.readouterr().out

    (event,) = example.look("snapshots__silver__delays").asset_events

    delays = rows_of("silver.delays")
    assert event.metadata["dagster/row_count"].value == delays.num_rows == 9
    assert sum(delays["flights"].to_pylist()) == example.systems.count_rows()["flights"]
    node = example.location.resolve_asset_graph().get(dg.AssetKey(["silver", "delays"]))
    assert node.parent_keys == {dg.AssetKey("ingestion__nyc_flights__flights")}


@pytest.mark.usefixtures("floe_home")
def test_analysts_need_loaded_flights(capsys: pytest.CaptureFixture[str]) -> None:
    """The error says how to load them."""
    assert simulate(["analyse"]) == 1
    assert "make demo" in capsys.readouterr().err
