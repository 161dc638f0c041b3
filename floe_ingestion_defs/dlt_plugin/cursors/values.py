"""Values of cursors as people write them, and as a source compares them.

YAML, JSON and the Launchpad hand over moments as text, which neither a driver nor Arrow compares
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


def looks_like_a_moment(value: Any) -> bool:
    """Whether a value is a date or a time, be it as text."""
    return isinstance(value, date) or (isinstance(value, str) and _ISO.fullmatch(value) is not None)


def as_moment(value: str | date, *, zoned: bool) -> datetime:
    """Give a date or a time as a moment with a zone, or without one; UTC is what is meant."""
    if not isinstance(value, datetime):
        value = datetime.fromisoformat(str(value))
    if zoned:
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def as_date(value: str | date) -> date:
    """Give the day of a date or a time."""
    return date.fromisoformat(str(value)[:10])


def as_json_value(value: Any) -> Any:
    """Give a value as it stands in JSON: APIs write moments as text, in UTC with a Z."""
    if isinstance(value, datetime):
        return as_moment(value, zoned=True).astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def as_declared(value: Any, column: ColumnConfig | None, name: str) -> Any:
    """Give a value in the type that its column is declared to have.

    Args:
        value: The value as it was configured, or asked for.
        column: The declared column, if it is declared.
        name: Name of the column.

    Raises:
        PipelineConfigurationError: It is a moment, and nobody says what kind of column it is of.
    """
    data_type = column.data_type if column is not None else None
    if data_type == "decimal" and isinstance(value, (int, float, str)):
        return Decimal(str(value))
    if not looks_like_a_moment(value) or data_type == "text":
        return value
    if column is None or data_type is None:
        msg = (
            f"the cursor {name!r} is compared with {value!r}, so its type has to be known; declare "
            f"it, such as columns: {{{name}: timestamp}}"
        )
        raise PipelineConfigurationError(msg)
    if data_type == "date":
        return as_date(value)
    return as_moment(value, zoned=column.timezone is not False)
