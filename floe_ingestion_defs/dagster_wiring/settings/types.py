"""Types of the values of settings; their errors say how to fix a value."""

import re
from datetime import timedelta
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)


class Settings(BaseModel):
    """Base of all blocks below `orchestration:`; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _require_cron(value: str) -> str:
    try:
        dg.ScheduleDefinition(name="validated", job_name="validated", cron_schedule=value)
    except dg.DagsterInvalidDefinitionError:
        msg = f"{value!r} is not a valid five-field cron expression (example: '15 6 * * *')"
        raise ValueError(msg) from None
    return value


def _require_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        msg = f"{value!r} is not a valid IANA time zone; use one such as 'Europe/Berlin' or 'UTC'"
        raise ValueError(msg) from None
    return value


def _require_group(value: str) -> str:
    if not re.fullmatch(r"\w+(/\w+)*", value, re.ASCII):
        msg = f"{value!r} is not a valid asset group; use letters, digits and underscores"
        raise ValueError(msg)
    return value


def _require_owner(value: str) -> str:
    if not re.fullmatch(r"team:\S+|[^\s@:]+@[^\s@:]+\.[^\s@:]+", value):
        msg = f"{value!r} is not a valid owner; use an e-mail address or a team such as 'team:data'"
        raise ValueError(msg)
    return value


def _require_key(value: str) -> str:
    if not re.fullmatch(r"[^\s/]+(/[^\s/]+)*", value):
        msg = f"{value!r} is not a valid asset key; use its parts, separated by '/'"
        raise ValueError(msg)
    return value


Cron = Annotated[str, AfterValidator(_require_cron)]
TimeZone = Annotated[str, AfterValidator(_require_time_zone)]
Group = Annotated[str, AfterValidator(_require_group)]
Owner = Annotated[str, AfterValidator(_require_owner)]
AssetKeyText = Annotated[str, AfterValidator(_require_key)]


T = TypeVar("T")
# A single string may be written without brackets, as elsewhere in a source's configuration.
OneOrMore = Annotated[
    tuple[T, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _parse_duration(value: Any) -> Any:
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+)\s*([mhdw])\s*", value)
        if not found:
            msg = (
                f"{value!r} is not a valid duration; use a number followed by m, h, d or w, such "
                "as '26h'"
            )
            raise ValueError(msg)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    return value


def _require_minutes(value: timedelta) -> timedelta:
    if value < timedelta(minutes=1):
        msg = "duration must be at least one minute"
        raise ValueError(msg)
    return value


def format_duration(value: timedelta) -> str:
    """Return a duration in the format of the configuration: `26h`, `90m`, `2d`."""
    minutes = round(value.total_seconds() / 60)
    for unit, size in (("d", 24 * 60), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    AfterValidator(_require_minutes),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+\s*[mhdw]\s*$"}),
]
