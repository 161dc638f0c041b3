"""Partitions of a source, and the window of time that each one is.

A run of a partition loads exactly its window. A table that is appended to gets the window's rows in
the place of those that it has there, so a partition can be run again and again; a merge goes by
key. The cursor of the incremental runs stays as it was.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field, model_validator

from floe_ingestion_defs.dagster_wiring.settings.types import Settings, TimeZone
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig, ResourceSpec
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

PARTITIONED_TAG = "floe/partitioned"


class Window(Settings):
    """A range of the cursor, from `start` up to, and not including, `end`."""

    start: datetime = Field(description="First moment of the window; UTC unless it has a zone.")
    end: datetime = Field(description="First moment after the window; UTC unless it has a zone.")

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> "Window":
        if not self.in_zone("UTC").start < self.in_zone("UTC").end:
            msg = "a window must end after its start"
            raise ValueError(msg)
        return self

    def in_zone(self, time_zone: str) -> "Window":
        """Return the window with moments that have no zone read in this one."""
        start, end = (
            moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))
            for moment in (self.start, self.end)
        )
        return self.model_copy(update={"start": start, "end": end})


class PartitionSettings(Settings):
    """How a source is cut into partitions by its cursor."""

    kind: Literal["hourly", "daily", "weekly", "monthly", "static"] = Field(
        description="Length of a partition; static for windows that have names."
    )
    start: datetime | None = Field(
        default=None, description="Start of the first partition, such as '2013-01-01'."
    )
    end: datetime | None = Field(
        default=None, description="End of the last partition. Default: there is always a next one."
    )
    timezone: TimeZone = Field(
        default="UTC", description="IANA time zone in which partitions begin and end."
    )
    windows: dict[str, Window] = Field(
        default_factory=dict, description="The windows of static partitions, by partition key."
    )
    backfill: Literal["partition", "range"] = Field(
        default="partition",
        description="What a run of a backfill is: one partition, or the whole range at once.",
    )

    @model_validator(mode="after")
    def _windows_are_known(self) -> "PartitionSettings":
        if self.kind == "static":
            if not self.windows or self.start or self.end or self.backfill == "range":
                msg = "static partitions have windows, each with start and end, and nothing else"
                raise ValueError(msg)
        elif self.start is None or self.windows:
            msg = f"{self.kind} partitions have a start, such as '2013-01-01', and no windows"
            raise ValueError(msg)
        return self

    def definition(self) -> dg.PartitionsDefinition[str]:
        """Return the partitions as Dagster knows them."""
        if self.kind == "static" or self.start is None:
            return dg.StaticPartitionsDefinition(list(self.windows))
        classes: dict[str, Callable[..., dg.PartitionsDefinition[str]]] = {
            "hourly": dg.HourlyPartitionsDefinition,
            "daily": dg.DailyPartitionsDefinition,
            "weekly": dg.WeeklyPartitionsDefinition,
            "monthly": dg.MonthlyPartitionsDefinition,
        }
        return classes[self.kind](start_date=self.start, end_date=self.end, timezone=self.timezone)

    def backfill_policy(self) -> dg.BackfillPolicy:
        """Return how many partitions a run of a backfill takes."""
        if self.backfill == "range":
            return dg.BackfillPolicy.single_run()
        return dg.BackfillPolicy.multi_run(max_partitions_per_run=1)

    def window_of(self, context: dg.AssetExecutionContext) -> Window | None:
        """Return the window that a run is for; None where it is for no partition."""
        if not context.has_partition_key and not context.has_partition_key_range:
            return None
        if self.kind == "static":
            return self.windows[context.partition_key].in_zone(self.timezone)
        span = context.partition_time_window
        return Window(start=span.start.astimezone(UTC), end=span.end.astimezone(UTC))

    def last_key(self, now: datetime) -> str:
        """Return the key of the last partition that is complete.

        Args:
            now: The present.
        """
        with dg.partition_loading_context(effective_dt=now):
            key = self.definition().get_last_partition_key()
        if key is None:
            msg = f"no {self.kind} partition is complete yet"
            raise dg.DagsterInvariantViolationError(msg)
        return key


def require_windows(source: IngestionSourceConfig, resources: Sequence[ResourceSpec]) -> None:
    """Refuse partitions of tables that cannot be loaded by windows of time.

    Raises:
        PipelineConfigurationError: Says which resource lacks what.
    """
    wrong = None
    for resource in resources:
        if resource.cursor_field is None:
            wrong = f"a cursor_field of times, which resource {resource.name!r} does not have"
        elif resource.write_mode == "replace":
            wrong = f"write_mode append or merge, and resource {resource.name!r} has 'replace'"
    if wrong is not None:
        msg = f"source {source.name!r}: orchestration.partitions needs {wrong}"
        raise PipelineConfigurationError(
            msg,
            source_name=source.name,
        )
