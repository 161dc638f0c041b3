"""The freshness that is required of a source whose configuration has no `freshness`.

It follows from how often the source is loaded: by its cron, or by the length of its partitions. A
source without either is not late at any age, so its check reports the age and passes.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal

import dagster as dg

from floe_ingestion_defs.dagster_wiring.settings.checks import FreshnessCheck
from floe_ingestion_defs.dagster_wiring.settings.partitions import PartitionSettings

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin import ResourceSpec

_LENGTHS = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
    "monthly": timedelta(days=31),
}
# A load may be late by this share of the interval: it waits in a queue, and takes some time.
_GRACE = 0.5
# Enough to contain the longest interval of a cron expression, such as a weekend.
_TICKS = 64
_REFERENCE = datetime(2024, 1, 1, tzinfo=UTC)


class DefaultFreshness(FreshnessCheck):
    """Freshness that follows from how often a source is loaded; only warns."""

    severity: Literal["warn", "error"] = "warn"
    reason: str

    def policy(self) -> dg.FreshnessPolicy | None:
        """Return Dagster's policy with the same window; None if no age is too old."""
        return super().policy() if self.fail_after else None

    def describe(self, resource: "ResourceSpec") -> str:
        """See `Check.describe`."""
        if self.fail_after is None:
            return f"Reports the age of the last successful load; passes at any age: {self.reason}."
        return f"{super().describe(resource)} Default, derived from {self.reason}."


def default_freshness(
    *,
    cron: str | None,
    cron_timezone: str,
    partitions: PartitionSettings | None,
    new_files_every: timedelta | None,
) -> DefaultFreshness:
    """Return the freshness of a source that configures none.

    Args:
        cron: When the source is loaded.
        cron_timezone: The cron's time zone.
        partitions: The source's partitions.
        new_files_every: How often new files are looked for.
    """
    if cron is not None:
        interval = longest_interval(cron, cron_timezone)
        return _required(interval, f"the cron '{cron}' ({cron_timezone})")
    if partitions is not None and partitions.kind in _LENGTHS and partitions.end is None:
        return _required(_LENGTHS[partitions.kind], f"the {partitions.kind} partitions")
    reason = "files arrive at any time" if new_files_every else "no cron is set"
    return DefaultFreshness.model_construct(reason=reason)


def _required(interval: timedelta, reason: str) -> DefaultFreshness:
    minutes = round(interval * (1 + _GRACE) / timedelta(minutes=1))
    limit = timedelta(minutes=max(minutes, 2))
    return DefaultFreshness.model_construct(fail_after=limit, reason=reason)


@cache
def longest_interval(cron: str, time_zone: str) -> timedelta:
    """Return the longest time between two consecutive ticks of a cron expression."""
    ticks = dg.TimeWindowPartitionsDefinition(
        start=_REFERENCE, fmt="%s", cron_schedule=cron, timezone=time_zone
    )
    longest, at = timedelta(), _REFERENCE
    for _ in range(_TICKS):
        window = ticks.get_next_partition_window(at, respect_bounds=False)
        if window is None:
            break
        longest, at = max(longest, window.end - window.start), window.end
    return longest
