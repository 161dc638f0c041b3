"""`make dev` of the example: the Dagster UI, and the simulated systems that its assets load from.

Ctrl-C or SIGTERM ends it and every process that it started.
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
from typing import TextIO

from dlt_sources.nyc_flights_demo import simulated_systems
from dlt_sources.nyc_flights_demo.local_instance import prepare_local_instance, write_environment
from dlt_sources.nyc_flights_demo.simulated_systems import settings
from dlt_sources.nyc_flights_demo.simulated_systems.original import OriginalDataMissingError
from dlt_sources.nyc_flights_demo.simulated_systems.systems import SimulatedSystems
from floe_ingestion_defs.cli.dev import DAGSTER_DEV
from floe_ingestion_defs.cli.only_once import AlreadyRunningError, only_once

# `dagster dev` gives webserver and daemon 5 seconds each, and the code server a little more.
_SECONDS_TO_END = 30
_HOST, _PORT = "127.0.0.1", 3000


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted.

    Returns:
        The process's exit code: 0 after Ctrl-C or SIGTERM, else that of `dagster dev`.
    """
    parser = argparse.ArgumentParser(prog="python -m dlt_sources.nyc_flights_demo.dev")
    parser.add_argument(
        "--port",
        type=int,
        help=f"the UI's port (default: {_PORT}, or a free one if that is in use)",
    )
    options = parser.parse_args(arguments)
    try:
        with only_once("dev", settings.floe_home()) as lock:
            return _serve(options.port, lock)
    except AlreadyRunningError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve(wanted: int | None, lock: TextIO) -> int:
    port = wanted or (_find_free_port() if _is_taken(_PORT) else _PORT)
    if _is_taken(port):
        print(
            f"error: port {port} is already in use; use another one: make dev PORT=3001",
            file=sys.stderr,
        )
        return 1
    url = f"http://{_HOST}:{port}"
    lock.write(url)
    lock.flush()
    ended = Event()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: ended.set())

    prepare_local_instance()
    systems = SimulatedSystems()
    write_environment(systems)
    try:
        # Also where months have landed: this completes what a killed process left unfinished.
        systems.land(through=max(systems.landed_months, default=6))
    except OriginalDataMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    landed = len(systems.landed_months)
    if landed < len(settings.MONTHS):
        print(f"{landed} months of flights have landed. To land the whole year:")
        print(f"  .venv/bin/python -m {simulated_systems.__name__} land --through 12")
    print("Starting Dagster. The UI address is printed when it is ready.", flush=True)
    opened = False
    with systems.serve() as environment, _dagster(environment, port, lock) as process:
        while not ended.wait(timeout=0.2):
            if process.poll() is not None:
                return process.returncode
            if not opened and _is_taken(port):
                opened = True
                print(
                    f"\nThe Dagster UI is at {url}. Press Ctrl-C to stop.\n",
                    flush=True,
                )
    return 0


def _is_taken(port: int) -> bool:
    """Return whether a process listens on a port of this machine."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((_HOST, port)) == 0


def _find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])


@contextmanager
def _dagster(
    environment: Mapping[str, str], port: int, lock: TextIO
) -> Iterator[subprocess.Popen[bytes]]:
    # In a session of its own, so that the terminal's Ctrl-C reaches only this process, which stops
    # dagster in order; the session's process group then finds every process that is left.
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        [*DAGSTER_DEV, "--host", _HOST, "--port", str(port)],
        cwd=settings.project_root(),
        env={**os.environ, **environment},
        start_new_session=True,
        pass_fds=[lock.fileno()],  # held as long as Dagster runs, even if this process is killed
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
            print("dagster does not stop and is killed", file=sys.stderr)
    with suppress(ProcessLookupError):  # raised when no process is left, as expected
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
