"""A FLOE_HOME for the screenshots: loaded as by `make demo`, and more."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from dlt_sources.nyc_flights_demo.local_instance import prepare_local_instance
from dlt_sources.nyc_flights_demo.simulated_systems.analysts import write_delays
from dlt_sources.nyc_flights_demo.simulated_systems.landing import land_breaking_file
from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems
from floe_ingestion_defs.destinations import open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

LOADED = "ingestion"
HISTORY = "ingestion__nyc_weather_history"
FLIGHTS = "ingestion__nyc_flights"


@contextmanager
def serving_systems() -> Iterator[dict[str, str]]:
    """Serve the simulated systems below FLOE_HOME, with the environment of the location."""
    prepare_local_instance()
    with SimulatedSystems().serve() as environment:
        os.environ.update(environment)
        yield environment


def load_months(months: int) -> None:
    """Load as the demo does, and the weather's history except for its last months.

    Args:
        months: Number of months to land, half of them before the first load.
    """
    from floe_ingestion_defs.definitions import defs

    systems, location = SimulatedSystems(), defs()
    with dg.DagsterInstance.get() as instance:
        for through in (months // 2, months, months):
            systems.land(through=through)
            run(location, LOADED, instance)
        last = max(months * 3 // 4, 1)
        ranges = {"start": "2013-01-01", "end": f"2013-{last:02}-01"}
        tags = {f"dagster/asset_partition_range_{name}": key for name, key in ranges.items()}
        run(location, HISTORY, instance, tags)
        write_delays(open_catalog())
        context = dg.build_sensor_context(
            instance=instance, repository_def=location.get_repository_def()
        )
        observed = location.resolve_sensor_def("snapshots__silver__delays").evaluate_tick(context)
        for event in observed.asset_events:
            instance.report_runless_asset_event(event)


def break_the_contract() -> None:
    """Land a file with an undeclared column, and load it: nothing is published."""
    from floe_ingestion_defs.definitions import defs

    land_breaking_file(SimulatedSystems().landing)
    with dg.DagsterInstance.get() as instance:
        run(defs(), FLIGHTS, instance, succeeds=False)


def run(
    location: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    tags: dict[str, str] | None = None,
    *,
    succeeds: bool = True,
) -> None:
    result = location.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags=tags,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success == succeeds, f"{job}: unexpected outcome"
