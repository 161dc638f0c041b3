"""The weather service's data: ordered pages of the observations of all landed months."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dlt_sources.nyc_flights_demo.simulated_systems import original, settings

Observation = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class Page:
    """One page of observations.

    Attributes:
        observations: At most one page size of them, ordered by `time_hour`, then `origin`.
        total: The number of observations that match the query.
        is_last: Whether this is the last page.
    """

    observations: Sequence[Observation]
    total: int
    is_last: bool


class Weather:
    """The observations of the year, restricted to the landed months."""

    def __init__(self, landed_months: Callable[[], Set[int]]) -> None:
        self._landed_months = landed_months
        observations = [_observation(row) for row in original.read_rows("weather")]
        self._observations = sorted(observations, key=lambda o: (o["time_hour"], o["origin"]))

    def known(self) -> list[Observation]:
        """Return the observations of the landed months, in order.

        The month is that of New York's local time, as for flights, so the observations of
        consecutive months do not overlap in `time_hour`.
        """
        landed = self._landed_months()
        return [o for o in self._observations if o["month"] in landed]

    def page(
        self, *, since: datetime | None, until: datetime | None = None, number: int, size: int
    ) -> Page:
        """Return one page.

        Args:
            since: Inclusive lower bound of `time_hour`.
            until: Exclusive upper bound of `time_hour`.
            number: Number of the page, from 1.
            size: Observations per page.
        """
        known = self.known()
        first = bisect_left(known, since, key=_timestamp) if since else 0
        end = max(bisect_left(known, until, key=_timestamp), first) if until else len(known)
        start = first + (number - 1) * size
        return Page(
            observations=known[start : min(start + size, end)],
            total=end - first,
            is_last=start + size >= end,
        )


def _timestamp(observation: Observation) -> datetime:
    return datetime.fromisoformat(str(observation["time_hour"]))


def _observation(row: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        column: settings.WEATHER_NUMBERS.get(column, str)(value) if value is not None else None
        for column, value in row.items()
    }
