"""A server as a child process: started, waited for within a time limit, ended by its id."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

LOG_LINES_IN_ERRORS = 40


class ServerDidNotStart(Exception):
    """A server ended, or did not answer, within its time; the message holds the end of its log."""


def free_port() -> int:
    """A port nobody listens on; its gRPC sibling, 10,000 further on, is free too."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port
    raise ServerDidNotStart("no free pair of ports was found in 200 tries")


def find_program(name: str, *folders: Path) -> Path | None:
    """A program beside this Python, in one of the folders, or on the path."""
    for folder in (Path(sys.executable).parent, *folders):
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    return Path(found) if found else None


@contextmanager
def running_server(
    command: Sequence[str | Path],
    ready: Callable[[], bool],
    log: Path,
    seconds: float = 30,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server for as long as the block lasts.

    Args:
        command: The program and its arguments.
        ready: Whether the server answers.
        log: Where its output goes; it stays for whoever looks into a failure.
        seconds: How long the server may take to answer.
        environment: The variables that it is started with; None for those of this process.

    Raises:
        ServerDidNotStart: It ended or did not answer in time.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=None if environment is None else dict(environment),
        )
    try:
        deadline = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                what = "ended" if process.poll() is not None else f"gave no answer in {seconds} s"
                end = log.read_text(errors="replace").splitlines()[-LOG_LINES_IN_ERRORS:]
                raise ServerDidNotStart(f"{command[0]} {what}; {log}:\n" + "\n".join(end))
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
