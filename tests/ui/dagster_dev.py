"""Webserver and daemon for one code location, as `dagster dev` runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from servers.process import LOG_LINES_IN_ERRORS, ServerDidNotStart, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Runs start at once instead of waiting for the queue, and the page asks for news twice a second:
# both are settings of the machine, and the tests wait for neither.
_INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""
_POLL_MILLISECONDS = "500"
_SECONDS_TO_START = 120
_SECONDS_TO_END = 30

_LOADED = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"


@dataclass(frozen=True)
class DagsterDev:
    """A Dagster that is running.

    Attributes:
        url: Where its UI is.
        log: What webserver, daemon and runs have written.
    """

    url: str
    log: Path


@contextmanager
def running_dagster(
    home: Path, location: Path, environment: Mapping[str, str]
) -> Iterator[DagsterDev]:
    """Runs webserver and daemon for as long as the block lasts.

    Args:
        home: An empty folder, to become DAGSTER_HOME.
        location: The Python file of the code location, or a workspace.yaml.
        environment: What the location and its runs find in the environment.

    Raises:
        ServerDidNotStart: The location was not loaded in time; the message holds the log's end.
    """
    (home / "dagster.yaml").write_text(_INSTANCE)
    port, log = free_port(), home / "dagster.log"
    kind = "-w" if location.suffix == ".yaml" else "-f"
    command = [sys.executable, "-m", "dagster", "dev", kind, str(location), "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--live-data-poll-rate", _POLL_MILLISECONDS],
            cwd=home,
            env={
                **os.environ,
                **environment,
                "DAGSTER_HOME": str(home),
                "DAGSTER_DISABLE_TELEMETRY": "true",
                "RUNTIME__DLTHUB_TELEMETRY": "false",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A session of its own, so that whatever outlives it can be found and ended.
            start_new_session=True,
        )
    try:
        dagster = DagsterDev(f"http://127.0.0.1:{port}", log)
        _wait_for_location(dagster, process)
        yield dagster
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for_location(dagster: DagsterDev, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(requests.ConnectionError):
            url = f"{dagster.url}/graphql"
            answer = requests.post(url, json={"query": _LOADED}, timeout=60).json()
            if answer["data"]["repositoriesOrError"].get("nodes"):
                return
        time.sleep(0.2)
    end = dagster.log.read_text(errors="replace").splitlines()[-LOG_LINES_IN_ERRORS:]
    msg = f"dagster dev did not load the location; {dagster.log}:\n{end}"
    raise ServerDidNotStart(msg)
