"""Child processes that fork from a warm one, with an environment and a log of their own."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 120.0

_context = multiprocessing.get_context("forkserver")

# Starting a process asks all others for their exit codes. Each can be read once: where two threads
# read the same one, the second makes a 255 of it.
_exit_codes = threading.Lock()


def start_warm_process(*modules: str) -> None:
    """Starts the process that the children fork from, if it does not run yet.

    Args:
        modules: What it imports beside what every load needs.
    """
    _context.set_forkserver_preload(["faults.warm", *modules])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), *([before] if before else [])])
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@dataclass
class Child:
    """A running child process.

    Attributes:
        log: What it wrote to its standard output and error.
    """

    process: Any
    log: Path
    _result: Path

    def wait(self, seconds: float = SECONDS) -> int:
        """Its exit code, negative for the signal that killed it; it is killed when time is up."""
        if not wait([self.process.sentinel], seconds):
            self.process.kill()
            wait([self.process.sentinel])
            msg = f"no end after {seconds} s: {self.tail()}"
            raise AssertionError(msg)
        with _exit_codes:
            return int(self.process.exitcode)

    def result(self, seconds: float = SECONDS) -> Any:
        """What its function returned.

        Raises:
            AssertionError: It did not end well.
        """
        code = self.wait(seconds)
        assert code == 0, f"exit code {code}: {self.tail()}"
        return pickle.loads(self._result.read_bytes())

    def was_killed(self) -> bool:
        """Whether SIGKILL ended it; any other end but a good one is an error."""
        code = self.wait()
        assert code in (0, -signal.SIGKILL), f"exit code {code}: {self.tail()}"
        return code != 0

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-6000:]


def start(
    function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str], folder: Path
) -> Child:
    """Runs a function of an importable module in a child process."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{function.__name__}-{uuid4().hex[:6]}"
    log, result = folder / f"{stem}.log", folder / f"{stem}.result"
    process = _context.Process(
        target=_main, args=(function, arguments, dict(environment), log, result), daemon=True
    )
    with _exit_codes:
        process.start()
    return Child(process, log, result)


def _main(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    environment: dict[str, str],
    log: Path,
    result: Path,
) -> None:
    with log.open("ab", buffering=0) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.update(environment)
    os.chdir(log.parent)
    try:
        value = function(*arguments)
        print(f"{time.process_time():.2f} s of CPU")
        result.write_bytes(pickle.dumps(value))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
