"""The weather service's API on loopback: `GET /weather`, paginated JSON.

A page is `{"data": [...], "next": url or null, "page": …, "page_size": …, "total": …}`, which
dlt's `json_link` paginator follows with `next_url_path: next`. A request needs the API key as its
bearer token.
"""

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from dlt_sources.nyc_flights_demo.simulated_systems import settings
from dlt_sources.nyc_flights_demo.simulated_systems.weather import Weather

logger = logging.getLogger(__name__)

_PARAMETERS = ("since", "until", "page", "page_size")
# Beyond the last page for every page size.
_LARGEST_PAGE = 1_000_000


class BadParameterError(ValueError):
    """An invalid query parameter; the message is sent to the client."""


class WeatherServer(ThreadingHTTPServer):
    """HTTP server of the weather service, on loopback.

    Args:
        weather: The observations to serve.
        port: The port to listen on; 0 selects a free one.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, weather: Weather, port: int = 0) -> None:
        self.weather = weather
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected; report every other error as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve requests in a thread while the block runs, then release the port.

        Yields:
            The base URL.
        """
        thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="weather-api")
        thread.start()
        try:
            yield self.url
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: WeatherServer
    protocol_version = "HTTP/1.1"
    server_version = "nyc-weather/1"
    # Header and body are two writes; with Nagle's algorithm the second waits for the client's
    # delayed acknowledgement, 40 ms per page.
    disable_nagle_algorithm = True
    # An idle client must not occupy its thread forever.
    timeout = 60

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        try:
            if address.path == "/":
                self._answer(HTTPStatus.OK, {"weather": f"{self.server.url}/weather"})
            elif address.path != "/weather":
                self._answer(HTTPStatus.NOT_FOUND, {"error": f"{address.path} does not exist"})
            elif self.headers["Authorization"] != f"Bearer {settings.WEATHER_API_KEY}":
                self._answer(HTTPStatus.UNAUTHORIZED, {"error": "the API key is missing or wrong"})
            else:
                self._answer(HTTPStatus.OK, self._weather_page(address.query))
        except BadParameterError as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    do_HEAD = do_GET  # noqa: N815 - the name is the standard library's

    def _weather_page(self, query: str) -> dict[str, Any]:
        parameters = _parse_query(query)
        since, until = (_read_timestamp(parameters, name) for name in ("since", "until"))
        number = _read_count(parameters, "page", default=1, largest=_LARGEST_PAGE)
        size = _read_count(
            parameters,
            "page_size",
            default=settings.DEFAULT_PAGE_SIZE,
            largest=settings.LARGEST_PAGE_SIZE,
        )
        page = self.server.weather.page(since=since, until=until, number=number, size=size)
        following = {**parameters, "page": number + 1, "page_size": size}
        return {
            "data": page.observations,
            "next": None if page.is_last else f"{self.server.url}/weather?{urlencode(following)}",
            "page": number,
            "page_size": size,
            "total": page.total,
        }

    def _answer(self, status: HTTPStatus, document: Mapping[str, Any]) -> None:
        body = json.dumps(document, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is given
        logger.debug(format, *args)


def _parse_query(query: str) -> dict[str, str]:
    try:
        given = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        msg = f"{query!r} is not a valid query string: {error}"
        raise BadParameterError(msg) from error
    for name, values in given.items():
        if name not in _PARAMETERS:
            msg = f"unknown parameter {name!r}; use {', '.join(_PARAMETERS)}"
            raise BadParameterError(msg)
        if len(values) > 1:
            msg = f"{name} is given {len(values)} times; use it once"
            raise BadParameterError(msg)
    return {name: values[0] for name, values in given.items()}


def _read_count(parameters: Mapping[str, str], name: str, *, default: int, largest: int) -> int:
    text = parameters.get(name, str(default))
    # isascii, because int() accepts the digits of every script.
    readable = text.isascii() and text.isdigit() and len(text) < 10
    if not (readable and 1 <= int(text) <= largest):
        msg = f"{name}={text!r} is not a whole number from 1 to {largest:_}"
        raise BadParameterError(msg)
    return int(text)


def _read_timestamp(parameters: Mapping[str, str], name: str) -> datetime | None:
    """Parse `since` or `until`; a timestamp without a time zone is UTC."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError as error:
        msg = (
            f"{name}={text!r} is not a valid ISO 8601 timestamp such as 2013-07-01T04:00:00Z "
            "(a `+` must be written %2B in a URL)"
        )
        raise BadParameterError(msg) from error
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
