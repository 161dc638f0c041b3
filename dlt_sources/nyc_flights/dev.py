"""What `make dev` runs: the Dagster UI, and the outside world for its assets to load from.

Ends with Ctrl-C or SIGTERM, and takes everything that it started with it.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event

from dlt_sources.nyc_flights import settings
from dlt_sources.nyc_flights.local_instance import prepare_local_instance
from dlt_sources.nyc_flights.original import OriginalDataMissingError
from dlt_sources.nyc_flights.world import OutsideWorld

# Webserver and daemon get 5 seconds each from `dagster dev`, and the code server a little more.
_SECONDS_TO_END = 30
_HOST, _PORT = "127.0.0.1", 3000


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to end.

    Returns:
        The process's exit code: 0 after Ctrl-C or SIGTERM, else that of `dagster dev`.
    """
    parser = argparse.ArgumentParser(prog="python -m dlt_sources.nyc_flights.dev")
    parser.add_argument(
        "--port",
        type=int,
        help=f"the UI's port (default: {_PORT}, or a free one where it is taken)",
    )
    options = parser.parse_args(arguments)
    port = options.port or (_find_free_port() if _is_taken(_PORT) else _PORT)
    if _is_taken(port):
        print(
            f"error: the UI cannot be opened, for another program listens on port {port}, perhaps "
            "another `make dev`; end that one, or take another port: make dev PORT=3001",
            file=sys.stderr,
        )
        return 1
    ended = Event()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: ended.set())

    prepare_local_instance()
    world = OutsideWorld()
    try:
        # Also where months have landed: that completes what a killed process left unfinished.
        world.land(through=max(world.landed_months, default=6))
    except OriginalDataMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(world.landed_months)} months have landed. To let the rest of the year land:")
    print("  .venv/bin/python -m dlt_sources.nyc_flights land --through 12")
    print("Dagster starts; where its UI is, is said when it can be opened.", flush=True)
    opened = False
    with world.serve() as environment, _dagster(environment, port) as process:
        while not ended.wait(timeout=0.2):
            if process.poll() is not None:
                return process.returncode
            if not opened and _is_taken(port):
                opened = True
                print(
                    f"\nThe UI is at http://{_HOST}:{port}; Ctrl-C ends everything.\n", flush=True
                )
    return 0


def _is_taken(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((_HOST, port)) == 0


def _find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])


@contextmanager
def _dagster(environment: Mapping[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    # It advises to use `dg dev`, which a production install does not have.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quiet, "-m", "dagster", "dev", "-w", "workspace.yaml"]
    # A session of its own: the terminal's Ctrl-C then reaches this process alone, which ends
    # dagster in order, and whatever outlives that is found by the session's process group.
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        [*command, "--host", _HOST, "--port", str(port)],
        cwd=settings.project_root(),
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            print("dagster does not end by itself and is killed", file=sys.stderr)
    with suppress(ProcessLookupError):  # raised where nothing of it is left, as it should be
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
