"""One job a source, and a schedule for it where a cron is configured."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from floe_ingestion_defs.dagster_wiring.environment import read_deployment
from floe_ingestion_defs.dagster_wiring.translator import SOURCE_TAG, FloeDltTranslator

if TYPE_CHECKING:
    # What `define_asset_job` returns; dagster does not export its name.
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

CAUSE_TAG = "floe/cause"


def create_ingestion_job() -> "UnresolvedAssetJobDefinition":
    """Make the job `ingestion`, which loads every source of the code location."""
    return dg.define_asset_job(
        "ingestion",
        selection=dg.AssetSelection.kind("dlt"),
        description="Load all sources.",
    )


def create_source_job(
    translator: FloeDltTranslator, keys: Sequence[dg.AssetKey]
) -> "UnresolvedAssetJobDefinition":
    """Make the job that loads all resources of a source.

    Args:
        translator: The source's translator.
        keys: The source's assets.
    """
    name = translator.source.name
    return dg.define_asset_job(
        f"ingestion__{name}",
        selection=dg.AssetSelection.assets(*keys),
        description=f"Load all resources of source {name}.",
        tags={SOURCE_TAG: name},
    )


def create_source_schedule(
    translator: FloeDltTranslator, job: "UnresolvedAssetJobDefinition", cron: str
) -> dg.ScheduleDefinition:
    """Make the schedule of a source.

    It is off by default, and in a pull request's deployment always: a branch loads when somebody
    asks it to.

    Args:
        translator: The source's translator.
        job: The source's job.
        cron: When it runs, in the source's time zone.
    """
    name, settings = translator.source.name, translator.settings
    running = settings.default_status == "running" and not read_deployment().is_branch

    def request_load(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        tick = context.scheduled_execution_time.isoformat()
        return dg.RunRequest(
            run_key=f"{name}@{tick}", tags={SOURCE_TAG: name, CAUSE_TAG: "schedule"}
        )

    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=settings.cron_timezone,
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
        ),
        description=f"Load source {name} by its cron.",
        execution_fn=request_load,
    )
