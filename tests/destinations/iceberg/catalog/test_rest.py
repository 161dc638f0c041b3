"""A request to an overloaded REST catalog is repeated after `Retry-After`, within a limit."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest
from servers.loopback import serving

from floe_ingestion_defs.destinations.impl.iceberg.catalog import rest
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

Answers = list[tuple[int, dict[str, str]]]


@contextmanager
def server(answers: Answers) -> Iterator[tuple[str, list[str]]]:
    """Serve `/v1/config` and an empty list of namespaces, after the given answers to the list."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            status: int = 200
            headers: dict[str, str] = {}
            if "namespaces" in self.path and answers:
                status, headers = answers.pop(0)
            body = json.dumps({"defaults": {}, "overrides": {}, "namespaces": []}).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing, into the output of the tests."""

    with serving(Handler) as uri:
        yield uri, requests


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_is_repeated_after_retry_after(status: int) -> None:
    with server([(status, {"Retry-After": "1"}), (status, {"Retry-After": "1"})]) as (uri, seen):
        catalog = open_catalog("rest", {"type": "rest", "uri": uri})
        begin = time.monotonic()
        assert catalog.list_namespaces() == []
        assert time.monotonic() - begin >= 2
        assert len([path for path in seen if "namespaces" in path]) == 3


def test_a_retry_after_of_an_hour_is_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rest, "LONGEST_WAIT_SECONDS", 0.2)
    with server([(503, {"Retry-After": "3600"})]) as (uri, _):
        catalog = open_catalog("rest", {"type": "rest", "uri": uri})
        begin = time.monotonic()
        assert catalog.list_namespaces() == []
        assert time.monotonic() - begin < 30


def test_a_server_that_stays_overloaded_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "LONGEST_WAIT_SECONDS", 0.1)
    with server([(503, {"Retry-After": "3600"})] * 50) as (uri, seen):
        catalog = open_catalog("rest", {"type": "rest", "uri": uri})
        with pytest.raises(Exception, match=r"503|Unavailable"):
            catalog.list_namespaces()
        assert len([path for path in seen if "namespaces" in path]) == 5
