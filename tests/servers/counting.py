"""A reverse proxy on loopback that counts requests, and delays each as a distant server would."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from servers.loopback import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class CountingProxy:
    """A running proxy.

    Attributes:
        uri: Where it listens.
        delay_seconds: How long each request waits before it is forwarded.
        requests: The requests since the last reset, as `METHOD path?query`, in their order.
        open: How many requests are not answered yet.
        most_open: The most that there ever were.
    """

    uri: str = ""
    delay_seconds: float = 0.0
    requests: list[str] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    @property
    def methods(self) -> Counter[str]:
        """How many requests of each method there were."""
        return Counter(request.partition(" ")[0] for request in self.requests)

    def reset(self) -> None:
        """Forget the requests so far."""
        self.requests.clear()


@contextmanager
def counting_proxy(target: str, delay_seconds: float = 0.0) -> Iterator[CountingProxy]:
    """Runs a proxy to the server at `target` for as long as the block lasts.

    The `Host` header is forwarded as it came, because S3's signatures cover it.
    """
    proxy = CountingProxy(delay_seconds=delay_seconds)
    host = urlparse(target).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise the second of two small writes waits for the first one's acknowledgement.
        disable_nagle_algorithm = True
        wbufsize = -1
        upstream: http.client.HTTPConnection | None = None

        def forward(self) -> None:
            proxy.requests.append(f"{self.command} {self.path}")
            body = self.read_body()
            proxy.open += 1
            proxy.most_open = max(proxy.most_open, proxy.open)
            time.sleep(proxy.delay_seconds)
            response, content = self.ask(body)
            proxy.open -= 1
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            length = len(content)
            if self.command == "HEAD":
                length = int(response.getheader("Content-Length") or 0)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def read_body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)

        def ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            for is_last in (False, True):
                connection = self.upstream or http.client.HTTPConnection(host, timeout=60)
                self.upstream = connection
                try:
                    connection.putrequest(
                        self.command, self.path, skip_host=True, skip_accept_encoding=True
                    )
                    for name, value in self.headers.items():
                        if name.lower() not in (*_HOP_BY_HOP, "expect"):
                            connection.putheader(name, value)
                    if body or self.command in ("POST", "PUT"):
                        connection.putheader("Content-Length", str(len(body)))
                    connection.endheaders(body or None)
                    response = connection.getresponse()
                    return response, response.read()
                except (OSError, http.client.HTTPException):
                    # The server closes connections that were idle.
                    connection.close()
                    self.upstream = None
                    if is_last:
                        raise
            raise AssertionError

        def handle_expect_100(self) -> bool:
            # The answer is buffered: a client that waits for it sends nothing for a second.
            is_expected = super().handle_expect_100()
            self.wfile.flush()
            return is_expected

        def finish(self) -> None:
            super().finish()
            if self.upstream is not None:
                self.upstream.close()

        do_GET = do_POST = do_HEAD = do_DELETE = do_PUT = forward  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Handler) as proxy.uri:
        yield proxy
