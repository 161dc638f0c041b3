"""Jobs and schedules: one job per source, with a schedule if a cron is configured."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from floe_ingestion_defs.dagster_wiring.automation.default_status import schedule_status
from floe_ingestion_defs.dagster_wiring.configured_source import (
    CAUSE_TAG,
    SOURCE_TAG,
    ConfiguredSource,
)
from floe_ingestion_defs.dagster_wiring.runs.options import LoadOptions
from floe_ingestion_defs.dagster_wiring.settings.partitions import PARTITIONED_TAG

if TYPE_CHECKING:
    # What `define_asset_job` returns; dagster does not export its name.
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )


def create_ingestion_job() -> "UnresolvedAssetJobDefinition":
    """Create the job `ingestion`, which loads every source that has no partitions."""
    return dg.define_asset_job(
        "ingestion",
        # A job has at most one partitions definition; a partitioned source has only its own job.
        selection=dg.AssetSelection.kind("dlt") - dg.AssetSelection.tag(PARTITIONED_TAG, "true"),
        description="Load all sources except partitioned ones.",
    )


def create_source_job(
    configured: ConfiguredSource, keys: Sequence[dg.AssetKey]
) -> "UnresolvedAssetJobDefinition":
    """Create the job that loads all resources of a source.

    Its config is what the Launchpad shows for editing: every option, with its default.

    Args:
        configured: The source, with its settings.
        keys: The source's assets.
    """
    name = configured.name
    return dg.define_asset_job(
        f"ingestion__{name}",
        selection=dg.AssetSelection.assets(*keys),
        description=f"Load all resources of source `{name}`.",
        config={"ops": {configured.load_op_name: {"config": LoadOptions().model_dump()}}},
        tags={**configured.settings.run_tags, SOURCE_TAG: name},
    )


def create_source_schedule(
    configured: ConfiguredSource, job: "UnresolvedAssetJobDefinition"
) -> dg.ScheduleDefinition:
    """Create the schedule of a source that has a cron.

    It is stopped by default, and always in a branch deployment.

    Args:
        configured: The source, with its settings.
        job: The source's job.
    """
    name, settings = configured.name, configured.settings

    def request_load(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        tick = context.scheduled_execution_time
        return dg.RunRequest(
            run_key=f"{name}@{tick.isoformat()}",
            partition_key=settings.partitions.last_key(tick) if settings.partitions else None,
            tags={SOURCE_TAG: name, CAUSE_TAG: "schedule"},
        )

    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=settings.cron or "",
        execution_timezone=settings.cron_timezone,
        default_status=schedule_status(running=settings.default_status == "running"),
        description=f"Load source `{name}` at its cron.",
        execution_fn=request_load,
    )


def create_freshness_schedule(
    checks: Sequence[dg.AssetCheckKey], *, running: bool, cron: str = "*/15 * * * *"
) -> dg.ScheduleDefinition:
    """Create the schedule that checks the freshness of tables, independently of loads.

    A check that runs only with loads never detects a source that silently stopped.

    Args:
        checks: The freshness checks of the location.
        running: Whether it is running as soon as the location is deployed.
        cron: When it runs.
    """
    job = dg.define_asset_job(
        "ingestion_freshness",
        selection=dg.AssetSelection.checks(*checks),
        description="Check the freshness of all tables without loading anything.",
    )
    return dg.ScheduleDefinition(
        name="ingestion_freshness_schedule",
        job=job,
        cron_schedule=cron,
        default_status=schedule_status(running=running),
        description="Detect tables that are no longer fresh, even if nothing was loaded.",
        tags={CAUSE_TAG: "freshness"},
    )
