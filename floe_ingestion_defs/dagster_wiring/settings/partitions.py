"""Partitions of a source, and the time window of each.

A run of a partition loads exactly its window. In an append table the window's rows replace those
that the table has in the window, so a partition can be run any number of times; a merge updates
rows by key. The cursor of the incremental runs is not changed.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import dagster as dg
from pydantic import AfterValidator, Field, model_validator

from floe_ingestion_defs.dagster_wiring.settings.types import Settings, TimeZone
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig, ResourceSpec
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.window import Window

PARTITIONED_TAG = "floe/partitioned"


def _require_order(window: Window[datetime]) -> Window[datetime]:
    if window.is_empty:
        msg = "the end of a window must be after its start"
        raise ValueError(msg)
    return window


class PartitionSettings(Settings):
    """How a source is partitioned by its cursor."""

    kind: Literal["hourly", "daily", "weekly", "monthly", "static"] = Field(
        description="Length of a partition; static for named windows."
    )
    start: datetime | None = Field(
        default=None, description="Start of the first partition, such as '2013-01-01'."
    )
    end: datetime | None = Field(
        default=None, description="End of the last partition. Default: partitions do not end."
    )
    timezone: TimeZone = Field(
        default="UTC", description="IANA time zone in which partitions start and end."
    )
    windows: dict[str, Annotated[Window[datetime], AfterValidator(_require_order)]] = Field(
        default_factory=dict,
        description="Windows of static partitions, by partition key. Bounds without a UTC offset "
        "are in `timezone`.",
    )
    backfill: Literal["partition", "range"] = Field(
        default="partition",
        description="What each run of a backfill loads: one partition, or the whole range.",
    )

    @model_validator(mode="after")
    def _windows_are_known(self) -> "PartitionSettings":
        if self.kind == "static":
            if not self.windows or self.start or self.end or self.backfill == "range":
                msg = (
                    "static partitions take only windows, each with start and end, and no start, "
                    "end or backfill 'range' of their own"
                )
                raise ValueError(msg)
        elif self.start is None or self.windows:
            msg = f"{self.kind} partitions require a start, such as '2013-01-01', and no windows"
            raise ValueError(msg)
        return self

    def definition(self) -> dg.PartitionsDefinition[str]:
        """Return Dagster's definition of the partitions."""
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
        """Return the policy of how many partitions each run of a backfill loads."""
        if self.backfill == "range":
            return dg.BackfillPolicy.single_run()
        return dg.BackfillPolicy.multi_run(max_partitions_per_run=1)

    def window_of(self, context: dg.AssetExecutionContext) -> Window[datetime] | None:
        """Return the window of a run's partitions; None for a run without partitions."""
        if not context.has_partition_key and not context.has_partition_key_range:
            return None
        if self.kind == "static":
            return self.windows[context.partition_key].in_zone(self.timezone)
        span = context.partition_time_window
        return Window(start=span.start.astimezone(UTC), end=span.end.astimezone(UTC))

    def window_of_key(self, key: str) -> Window[datetime]:
        """Return the window of a partition.

        Args:
            key: Key of the partition.
        """
        definition = self.definition()
        if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
            return self.windows[key].in_zone(self.timezone)
        span = definition.time_window_for_partition_key(key)
        return Window(start=span.start.astimezone(UTC), end=span.end.astimezone(UTC))

    def last_key(self, now: datetime) -> str:
        """Return the key of the last partition that is complete.

        Args:
            now: The current time.
        """
        with dg.partition_loading_context(effective_dt=now):
            key = self.definition().get_last_partition_key()
        if key is None:
            msg = f"no {self.kind} partition is complete yet"
            raise dg.DagsterInvariantViolationError(msg)
        return key


def require_windows(source: IngestionSourceConfig, resources: Sequence[ResourceSpec]) -> None:
    """Reject partitions of tables that cannot be loaded by time windows.

    Raises:
        PipelineConfigurationError: A resource cannot be partitioned; says which, and why.
    """
    wrong = None
    for resource in resources:
        if resource.cursor_field is None:
            wrong = (
                f"a cursor_field of timestamps or dates, and resource {resource.name!r} has none"
            )
        elif resource.write_mode == "replace":
            wrong = f"write_mode append or merge, and resource {resource.name!r} has 'replace'"
    if wrong is not None:
        msg = f"source {source.name!r}: orchestration.partitions requires {wrong}"
        raise PipelineConfigurationError(
            msg,
            source_name=source.name,
        )
