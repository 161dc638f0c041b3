"""An HTTP server for prepared pages: `python -m benchmarks.page_server FOLDER TIMES`.

It responds to `/flights?page=N` with an object of the rows and a link to the next page, repeats the
folder `TIMES` times, and returns only the last page at `/last`. It is a separate process, so that
its processor time can be distinguished from that of the client.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class PageServer:
    """A running server.

    Attributes:
        url: URL to which paths are appended.
        pid: Id of its process.
    """

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used so far."""
        import psutil

        taken = psutil.Process(self.pid).cpu_times()
        return float(taken.user + taken.system)


@contextmanager
def serving(folder: Path, times: int) -> Iterator[PageServer]:
    """Serve the pages of a folder during the block."""
    command = [sys.executable, "-m", __name__, str(folder), str(times)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                msg = "the page server did not start"
                raise RuntimeError(msg)
            yield PageServer(f"http://127.0.0.1:{port}", process.pid)
        finally:
            # It has nothing to finish, and a process can inherit that it ignores SIGTERM.
            process.kill()


def main(folder: str, times: str) -> None:
    """Read the pages, print the port, and serve."""
    files = sorted(Path(folder).iterdir(), key=lambda path: int(path.stem))
    pages = [path.read_bytes() for path in files]
    count = len(pages) * int(times)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Header and body in separate packets would wait for each other's acknowledgement.
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            number = int(parse_qs(address.query).get("page", ["0"])[0])
            if address.path == "/last":
                number = count - 1
            following = f'"/flights?page={number + 1}"' if number + 1 < count else "null"
            rows, end = pages[number % len(pages)], f', "next": {following}}}'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(b'{"data": ') + len(rows) + len(end)))
            self.end_headers()
            self.wfile.write(b'{"data": ')
            self.wfile.write(rows)
            self.wfile.write(end)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
