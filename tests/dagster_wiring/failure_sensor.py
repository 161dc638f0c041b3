"""Evaluates the failure sensor for a run that failed."""

from typing import Any

import dagster as dg


def evaluate_failure_sensor(
    location: dg.Definitions, result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance
) -> Any:
    """Return what the sensor of a location returns for a failed run of it."""
    (failure,) = [event for event in result.all_events if event.is_run_failure]
    context = dg.build_run_status_sensor_context(
        sensor_name="ingestion_failures",
        dagster_event=failure,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()
    return location.resolve_sensor_def("ingestion_failures")(context)
