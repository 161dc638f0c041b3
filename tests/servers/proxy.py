"""A real HTTP proxy on loopback that corrupts a catalog's responses, or lets its tokens expire.

It stands between pyiceberg and a REST catalog, so what the client sees is what a broken gateway,
a lost connection, an overloaded server or a strict one would show it.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from urllib.parse import urlparse

from servers.loopback import serving

Reply = tuple[int, dict[str, str], bytes]
Forward = Callable[[], Reply]


@dataclass
class Commit:
    """A request that commits to one table.

    Attributes:
        table: The table's name in the catalog.
        number: Which commit to that table it is, counted from 1.
        forward: Sends it to the catalog, as often as it is called, and returns the answer.
    """

    table: str
    number: int
    forward: Forward


def _forward(commit: Commit) -> Reply:
    return commit.forward()


# What becomes of a commit; None is for a connection that breaks without an answer.
Fault = Callable[[Commit], Reply | None]


@dataclass
class Tokens:
    """Tokens of the proxy's own, each of which is good for a few requests only.

    Attributes:
        uses: The requests that a token is good for.
        status: The answer to a token that is used up: 419, or 401 as from most servers.
        most: The tokens that are given out; further requests are rejected.
        issued: The tokens given out so far.
        rejected: The requests rejected so far for their token.
    """

    uses: int
    status: int
    most: int = 1_000
    issued: int = 0
    rejected: int = 0
    _left: dict[str, int] = field(default_factory=dict)
    _real: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def issue(self, headers: dict[str, str], forward: Forward) -> Reply:
        """Answers a request for a token as RFC 6749 has it: with one way to log in, not two."""
        if headers.get("Authorization", "").startswith("Bearer "):
            return oauth_rejection("invalid_request")
        status, answered, body = forward()
        if status != 200:
            return status, answered, body
        if self.issued >= self.most:
            return oauth_rejection("invalid_client")
        self.issued += 1
        granted = json.loads(body)
        token = f"token-{next(self._numbers)}"
        self._left[token], self._real[token] = self.uses, granted["access_token"]
        return status, answered, json.dumps({**granted, "access_token": token}).encode()

    def exchange(self, headers: dict[str, str]) -> Reply | None:
        """Puts the catalog's token in the place of the proxy's, or says why not."""
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if self._left.get(token, 0) < 1:
            self.rejected += 1
            return rejection(self.status, "NotAuthorizedException")
        self._left[token] -= 1
        headers["Authorization"] = f"Bearer {self._real[token]}"
        return None


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        uri: Where it listens.
        faults: By the table's name, what becomes of commits to it.
        commits: How many commits each table got so far.
        tokens: What becomes of logins; None where they pass unchanged.
        statuses: By the end of its path, such as `tables/orders` or `views/orders`, the status of
            each response to a request.
    """

    uri: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)
    tokens: Tokens | None = None
    statuses: dict[str, int] = field(default_factory=dict)


def rejection(status: int, kind: str) -> Reply:
    """An error in the form of the REST specification."""
    body = f'{{"error": {{"message": "corrupt", "type": "{kind}", "code": {status}}}}}'
    return status, {"Content-Type": "application/json"}, body.encode()


def oauth_rejection(error: str) -> Reply:
    """The answer of a token endpoint that gives no token."""
    return 401, {"Content-Type": "application/json"}, f'{{"error": "{error}"}}'.encode()


@contextmanager
def running_proxy(target: str) -> Iterator[Proxy]:
    """Runs a proxy to the catalog at `target` for as long as the block lasts."""
    proxy = Proxy()
    lock = threading.Lock()
    host = urlparse(target).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}

            def forward() -> Reply:
                connection = http.client.HTTPConnection(host, timeout=60)
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                kept = {
                    k: v
                    for k, v in response.getheaders()
                    if k.lower() not in ("connection", "content-length", "transfer-encoding")
                }
                reply = (response.status, kept, response.read())
                connection.close()
                return reply

            parts = urlparse(self.path).path.split("/")
            reply: Reply | None = None
            if proxy.tokens and parts[-2:] == ["oauth", "tokens"]:
                with lock:
                    reply = proxy.tokens.issue(headers, forward)
            elif proxy.tokens:
                with lock:
                    reply = proxy.tokens.exchange(headers)
            if status := proxy.statuses.get("/".join(parts[-2:])):
                reply = rejection(status, "Exception") if status >= 400 else (status, {}, b"")
            if reply is not None:
                pass
            elif self.command == "POST" and len(parts) > 2 and parts[-2] == "tables":
                table = parts[-1]
                with lock:
                    number = proxy.commits[table] = proxy.commits.get(table, 0) + 1
                fault = proxy.faults.get(table, _forward)
                reply = fault(Commit(table, number, forward))
            else:
                reply = forward()
            if reply is None:
                self.close_connection = True
                return
            status, answered, content = reply
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_HEAD = do_DELETE = do_PUT = answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Handler) as proxy.uri:
        yield proxy
