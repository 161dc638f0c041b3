"""A window: the range of values of one column that a load replaces. Every layer uses this one form.

Settings read it from YAML (`Window[datetime]`), a load request carries it, and the intent of a
committed load adds the column and persists it as JSON (`intent.Window`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

Bound = TypeVar("Bound")


class Window(BaseModel, Generic[Bound]):
    """The values with `start <= value < end`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    start: Bound = Field(description="Start of the window, inclusive.")
    end: Bound = Field(description="End of the window, exclusive.")

    @property
    def is_empty(self) -> bool:
        """Whether the end is not after the start; False where they cannot be compared."""
        start, end = _comparable(self.start), _comparable(self.end)
        return type(start) is type(end) and not start < end

    def in_zone(self, time_zone: str) -> Window[Bound]:
        """Return the window, with timestamps that have no UTC offset read in a time zone."""
        bounds = {"start": self.start, "end": self.end}
        return self.model_copy(
            update={
                name: bound.replace(tzinfo=ZoneInfo(time_zone))
                for name, bound in bounds.items()
                if isinstance(bound, datetime) and bound.tzinfo is None
            }
        )


def _comparable(bound: Any) -> Any:
    """Return timestamps, also in ISO format, as UTC; any other bound is unchanged."""
    if isinstance(bound, str):
        try:
            bound = datetime.fromisoformat(bound)
        except ValueError:
            return bound
    return bound.replace(tzinfo=bound.tzinfo or UTC) if isinstance(bound, datetime) else bound
