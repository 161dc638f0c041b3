"""A real HTTP proxy on loopback that spoils a catalog's answers.

It stands between pyiceberg and a REST catalog, so what the client sees is what a broken gateway,
a lost connection or an overloaded server would show it.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

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


# What becomes of a commit; None is for a connection that breaks without an answer.
Fault = Callable[[Commit], Reply | None]


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        uri: Where it listens.
        faults: By the table's name, what becomes of commits to it.
        commits: How many commits each table got so far.
    """

    uri: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)


def refusal(status: int, kind: str) -> Reply:
    """An error in the form of the REST specification."""
    body = f'{{"error": {{"message": "spoilt", "type": "{kind}", "code": {status}}}}}'
    return status, {"Content-Type": "application/json"}, body.encode()


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
            if self.command == "POST" and len(parts) > 2 and parts[-2] == "tables":
                table = parts[-1]
                with lock:
                    number = proxy.commits[table] = proxy.commits.get(table, 0) + 1
                fault = proxy.faults.get(table, lambda commit: commit.forward())
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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.uri = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
