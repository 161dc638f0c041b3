"""Hourly weather at New York City's airports, from the JSON API of a weather service.

The worked example of a source written in Python, in the shape of dlt's verified sources. It imports
dlt and nothing of this project, so it also runs in a plain dlt pipeline.
"""

from collections.abc import Iterator

import dlt
from dlt.sources import DltResource

from dlt_sources.nyc_flights.helpers import Observation, read_pages
from dlt_sources.nyc_flights.settings import COLUMNS, FIRST_HOUR, PAGE_SIZE, PRIMARY_KEY


@dlt.source(name="nyc_flights")
def source(
    base_url: str = dlt.config.value,
    api_key: dlt.TSecretStrValue = dlt.secrets.value,
    page_size: int = PAGE_SIZE,
) -> DltResource:
    """Return the resources of the weather service.

    Arguments that are not given are read from dlt's configuration, for example from the environment
    variables `SOURCES__NYC_FLIGHTS__BASE_URL` and `SOURCES__NYC_FLIGHTS__API_KEY`.

    Args:
        base_url: Address of the service, without a path.
        api_key: Key of the service, sent as a bearer token.
        page_size: Observations per request, at most 5,000.

    Returns:
        The resource `weather`.
    """

    @dlt.resource(primary_key=PRIMARY_KEY, write_disposition="merge", columns=COLUMNS)
    def weather(
        time_hour: dlt.sources.incremental[str] = dlt.sources.incremental(  # noqa: B008 - as dlt does
            "time_hour", initial_value=FIRST_HOUR
        ),
    ) -> Iterator[list[Observation]]:
        """Weather observations at EWR, JFK and LGA, one per airport and hour.

        Only observations from the newest loaded hour on are requested; dlt drops those of that hour
        that were loaded before.
        """
        yield from read_pages(
            base_url,
            api_key,
            page_size=page_size,
            since=time_hour.start_value,
            until=time_hour.end_value,
        )

    return weather
