"""The weather service's data: observations in order, of the months that have landed, by page."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dlt_sources.nyc_flights import original, settings

Observation = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class Page:
    """One page of observations.

    Attributes:
        observations: At most the page size asked for, by `time_hour`, then `origin`.
        total: The number of observations that the query matches.
        is_last: No page comes after this one.
    """

    observations: Sequence[Observation]
    total: int
    is_last: bool


class Weather:
    """The year's observations, of which only those of months that have landed are known yet."""

    def __init__(self, landed_months: Callable[[], Set[int]]) -> None:
        self._landed_months = landed_months
        observations = [_observation(row) for row in original.read_rows("weather")]
        self._observations = sorted(observations, key=lambda o: (o["time_hour"], o["origin"]))

    def known(self) -> list[Observation]:
        """The observations of the months that have landed, in order.

        An observation belongs to the month it has on New York's clock, as a flight does, so the
        months' observations follow each other in `time_hour` without overlap.
        """
        landed = self._landed_months()
        return [o for o in self._observations if o["month"] in landed]

    def page(
        self, *, since: datetime | None, until: datetime | None = None, number: int, size: int
    ) -> Page:
        """Reads one page.

        Args:
            since: Only observations of this `time_hour` or a later one.
            until: Only observations of an earlier `time_hour` than this.
            number: Which page, from 1.
            size: Observations a page.
        """
        known = self.known()
        first = bisect_left(known, since, key=_moment) if since else 0
        end = max(bisect_left(known, until, key=_moment), first) if until else len(known)
        start = first + (number - 1) * size
        return Page(
            observations=known[start : min(start + size, end)],
            total=end - first,
            is_last=start + size >= end,
        )


def _moment(observation: Observation) -> datetime:
    return datetime.fromisoformat(str(observation["time_hour"]))


def _observation(row: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        column: settings.WEATHER_NUMBERS.get(column, str)(value) if value is not None else None
        for column, value in row.items()
    }
