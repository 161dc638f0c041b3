"""A server as a child process: started, waited for within a time limit, ended by its id."""

from __future__ import annotations

import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOG_LINES_IN_ERRORS = 40


class ServerDidNotStart(Exception):
    """A server ended, or did not answer, within its time; the message holds the end of its log."""


def free_port() -> int:
    """A free port; its gRPC sibling, 10,000 further on, is free, too."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port
    msg = "no free pair of ports was found in 200 attempts"
    raise ServerDidNotStart(msg)


def find_program(name: str, *folders: Path) -> Path | None:
    """A program beside this Python, in one of the folders, or on the path."""
    for folder in (Path(sys.executable).parent, *folders):
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    return Path(found) if found else None


@dataclass
class Server:
    """A server that can be stopped, and started again where it was.

    Attributes:
        command: The program and its arguments.
        ready: Whether the server answers.
        log: Where its output goes; it is kept for the analysis of a failure.
        seconds: How long the server may take to answer.
        environment: The variables that it is started with; None for those of this process.
        stop_signal: What ends it in good order, with clients connected.
        user: The user that it runs as; None for the one that runs the tests.
    """

    command: Sequence[str | Path]
    ready: Callable[[], bool]
    log: Path
    seconds: float = 30
    environment: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of its process.

        Raises:
            ServerDidNotStart: It does not run.
        """
        if self._process is None:
            msg = f"{self.command[0]} does not run"
            raise ServerDidNotStart(msg)
        return self._process.pid

    def start(self) -> None:
        """Starts it and waits until it answers.

        Raises:
            ServerDidNotStart: It ended or did not answer in time.
        """
        with self.log.open("ab") as output:
            process = self._process = subprocess.Popen(
                list(map(str, self.command)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/" if self.user else self.log.parent,
                user=self.user,
                group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
                extra_groups=None if self.user is None else [],
                env=None if self.environment is None else dict(self.environment),
            )
        deadline = time.monotonic() + self.seconds
        while not self.ready():
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else f"gave no answer in {self.seconds} s"
                end = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_IN_ERRORS:]
                raise ServerDidNotStart(f"{self.command[0]} {what}; {self.log}:\n" + "\n".join(end))
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it, by force if it takes longer than 10 seconds; its data stay."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Runs a server for as long as the block lasts.

    Raises:
        ServerDidNotStart: It ended or did not answer in time.
    """
    try:
        server.start()
        yield server
    finally:
        server.stop()
