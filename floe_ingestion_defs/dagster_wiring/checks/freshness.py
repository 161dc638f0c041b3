"""The check `freshness`: a table is recent enough, by the configured clock."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.compute as pc

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.settings.checks import FreshnessCheck
from floe_ingestion_defs.dagster_wiring.units import format_age, format_limit
from floe_ingestion_defs.destinations import (
    column_bounds,
    last_change,
    live_files,
    read_columns,
)
from floe_ingestion_defs.dlt_plugin import ResourceSpec
from floe_ingestion_defs.dlt_plugin.config.names import find_name
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from pyiceberg.table import Table

_MICROSECONDS = 1_000_000

# Every valid deadline is due within this time, even the 29th of February.
_LONGEST_CYCLE = timedelta(days=8 * 366)


def check_freshness(
    table: "Table | None",
    spec: ResourceSpec,
    check: FreshnessCheck,
    last_load: datetime | None,
    now: datetime,
) -> CheckResult:
    """Compare the configured clock with the windows.

    Args:
        table: The table; None if it does not exist yet.
        spec: The resource.
        check: The configured clock and windows.
        last_load: When the table was last loaded, even with nothing new; None for never.
        now: The current time.
    """
    at = _read_clock(table, spec, check, last_load)
    subject = check.subject[0].lower() + check.subject[1:]
    if at is None:
        empty = table is not None and check.clock == "cursor"
        lacking = "no rows with a value of the cursor" if empty else "not been loaded yet"
        return CheckResult(False, f"`{spec.table}` has {lacking}.")
    age = now - at
    metadata = {
        "clock": check.clock,
        "at": dg.MetadataValue.timestamp(at),
        "age": format_age(age),
        # A number, which the UI plots.
        "age_hours": round(age / timedelta(hours=1), 2),
    }
    found = f"{spec.table}: {subject} is {format_age(age)} old"
    if check.fail_after is None and check.deadline is None:
        return CheckResult(True, f"{found}.", metadata)
    if at < _earliest_allowed(check, now):
        return CheckResult(False, f"{found} ({_limit(check)}).", metadata, severity=None)
    if check.warn_after is not None and age > check.warn_after:
        limit = f"warning limit {format_limit(check.warn_after)}"
        return CheckResult(False, f"{found} ({limit}).", metadata, severity="warn")
    return CheckResult(True, f"{found}.", metadata)


def _limit(check: FreshnessCheck) -> str:
    if check.deadline is not None:
        before = format_limit(check.before_deadline)
        return f"limit {before} before the deadline '{check.deadline}'"
    return f"limit {format_limit(check.fail_after or timedelta())}"


def _earliest_allowed(check: FreshnessCheck, now: datetime) -> datetime:
    if check.deadline is not None:
        return last_tick(check.deadline, check.deadline_timezone, now) - check.before_deadline
    return now - (check.fail_after or timedelta())


def last_tick(cron: str, time_zone: str, now: datetime) -> datetime:
    """Return the last time, up to now, at which a cron expression was due."""
    ticks = dg.TimeWindowPartitionsDefinition(
        start=now - _LONGEST_CYCLE, fmt="%s", cron_schedule=cron, timezone=time_zone
    )
    with dg.partition_loading_context(effective_dt=now):
        window = ticks.get_last_partition_window()
    # A cron expression that is never due, such as the 31st of February, is never missed.
    return window.end if window is not None else datetime.fromtimestamp(0, UTC)


def _read_clock(
    table: "Table | None", spec: ResourceSpec, check: FreshnessCheck, last_load: datetime | None
) -> datetime | None:
    changed = _last_change(table)
    if check.clock == "snapshot":
        return changed
    if check.clock == "cursor":
        return None if table is None else _newest_row(table, spec)
    return max((at for at in (changed, last_load) if at is not None), default=None)


def _last_change(table: "Table | None") -> datetime | None:
    snapshot = last_change(table) if table is not None else None
    return None if snapshot is None else datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)


def _newest_row(table: "Table", spec: ResourceSpec) -> datetime | None:
    """Return the cursor's maximum from the files' statistics; only files without them are read."""
    schema, cursor = table.schema(), str(spec.cursor_field)
    field = schema.find_field(find_name(cursor, schema.column_names) or cursor)
    newest: list[datetime] = []
    unknown = []
    for task in live_files(table):
        found = None if task.delete_files else column_bounds(table, task.file, field.name)
        if found is None:
            unknown.append(task)
        else:
            newest.append(_as_time(found[1], str(field.field_type)))
    for batch in read_columns(table, unknown, (field.name,)):
        value = pc.max(batch.column(0)).as_py()
        newest += [] if value is None else [_as_time(value, str(field.field_type))]
    return max(newest, default=None)


def _as_time(value: Any, iceberg_type: str) -> datetime:
    """Return a cursor's value as a timestamp; UTC without a time zone, midnight for a date."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if iceberg_type in ("timestamp", "timestamptz"):
        return datetime.fromtimestamp(value / _MICROSECONDS, UTC)
    if iceberg_type == "date":
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=value)
    msg = (
        f"clock 'cursor' requires a cursor of timestamps or dates, not of {iceberg_type}; use "
        "clock 'load'"
    )
    raise PipelineConfigurationError(msg)
