"""Converts values of cursors from configuration to the types that a source compares.

YAML, JSON and the Launchpad pass timestamps as strings, which neither a driver nor Arrow compares
with a timestamp.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.config.columns import ColumnConfig

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")


def is_date_or_timestamp(value: Any) -> bool:
    """Return whether a value is a date or a timestamp, or a string of one."""
    return isinstance(value, date) or (isinstance(value, str) and _ISO.fullmatch(value) is not None)


def as_timestamp(value: str | date, *, zoned: bool) -> datetime:
    """Return a date or timestamp as a timestamp in UTC, with or without a time zone."""
    if not isinstance(value, datetime):
        value = datetime.fromisoformat(str(value))
    if zoned:
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def as_date(value: str | date) -> date:
    """Return the date of a date or timestamp."""
    return date.fromisoformat(str(value)[:10])


def as_json_value(value: Any) -> Any:
    """Return a value in its JSON form; timestamps are strings in UTC that end in Z."""
    if isinstance(value, datetime):
        return as_timestamp(value, zoned=True).astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def as_declared(value: Any, column: ColumnConfig | None, name: str) -> Any:
    """Return a value in the declared type of its column.

    Args:
        value: The value as configured, or requested.
        column: The declared column, if it is declared.
        name: Name of the column.

    Raises:
        PipelineConfigurationError: The value is a date or timestamp, and its column has no declared
            type.
    """
    data_type = column.data_type if column is not None else None
    if data_type == "decimal" and isinstance(value, (int, float, str)):
        return Decimal(str(value))
    if not is_date_or_timestamp(value) or data_type == "text":
        return value
    if column is None or data_type is None:
        msg = (
            f"the cursor {name!r} is compared with {value!r}, which requires its type; declare the "
            f"column, such as columns: {{{name}: timestamp}}"
        )
        raise PipelineConfigurationError(msg)
    if data_type == "date":
        return as_date(value)
    return as_timestamp(value, zoned=column.timezone is not False)
