"""Requests to the weather service."""

from collections.abc import Iterator
from typing import Any

import requests
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator

from dlt_sources.nyc_flights.settings import WEATHER_PATH

Observation = dict[str, Any]


def read_pages(
    base_url: str,
    api_key: str,
    *,
    page_size: int,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[list[Observation]]:
    """Yield the observations of a time range, page by page.

    dlt's client retries requests that fail with a transient error.

    Args:
        base_url: Address of the service.
        api_key: Key of the service.
        page_size: Observations per page.
        since: Inclusive lower bound of `time_hour`, in ISO 8601; None starts with the first.
        until: Exclusive upper bound of `time_hour`, in ISO 8601; None ends with the last.

    Yields:
        The observations of a page, ordered by `time_hour`.

    Raises:
        requests.HTTPError: The service rejected the request.
        requests.ConnectionError: The service does not answer; says how to start the simulated one.
    """
    client = RESTClient(
        base_url=base_url,
        auth=BearerTokenAuth(api_key),
        paginator=JSONLinkPaginator(next_url_path="next"),
        data_selector="data",
    )
    bounds = {"since": since, "until": until}
    params = {name: value for name, value in bounds.items() if value is not None}
    try:
        yield from client.paginate(WEATHER_PATH, params={**params, "page_size": page_size})
    except requests.ConnectionError:
        msg = (
            f"The weather API at {base_url} does not answer. It is simulated: `make weather` "
            "starts it, and `make dev` does for its own runs"
        )
        raise requests.ConnectionError(msg) from None
