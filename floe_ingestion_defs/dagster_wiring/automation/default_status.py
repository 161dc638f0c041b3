"""Default status of schedules and sensors: whether they run as soon as the location is deployed.

In a branch deployment none does: a branch loads only when a user launches a run.
"""

import dagster as dg

from floe_ingestion_defs.dagster_wiring.deployment import read_deployment


def schedule_status(*, running: bool) -> dg.DefaultScheduleStatus:
    """Return the default status of a schedule.

    Args:
        running: Whether it is configured to run as soon as the location is deployed.
    """
    status = dg.DefaultScheduleStatus
    return status.RUNNING if _starts(running=running) else status.STOPPED


def sensor_status(*, running: bool) -> dg.DefaultSensorStatus:
    """Return the default status of a sensor.

    Args:
        running: Whether it is configured to run as soon as the location is deployed.
    """
    status = dg.DefaultSensorStatus
    return status.RUNNING if _starts(running=running) else status.STOPPED


def _starts(*, running: bool) -> bool:
    return running and not read_deployment().is_branch
