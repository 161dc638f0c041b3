"""A Dask cluster of some worker processes on this machine."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from servers.process import Server, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

_TESTS = Path(__file__).parents[1]


@contextmanager
def running_dask(folder: Path, workers: int = 2) -> Iterator[str]:
    """Runs a cluster of so many workers and yields its address; a killed worker is replaced.

    Raises:
        ServerDidNotStart: It did not start in time.
    """
    # The scheduler, too, imports the functions that tasks call.
    environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
    address = f"tcp://127.0.0.1:{free_port()}"
    program = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = Server(
        [*program, "--host", address, "--dashboard-address", "127.0.0.1:0"],
        lambda: "Scheduler at:" in scheduler.log.read_text(),
        folder / "scheduler.log",
        seconds=90,
        environment=environment,
    )
    program = [sys.executable, "-m", "distributed.cli.dask_worker", address]
    options = [
        "--host",
        "127.0.0.1",
        "--no-dashboard",
        "--local-directory",
        str(folder / "scratch"),
    ]
    nanny = Server(
        [*program, "--nworkers", str(workers), "--nthreads", "1", *options],
        lambda: scheduler.log.read_text().count("Register worker") >= workers,
        folder / "workers.log",
        seconds=90,
        environment=environment,
    )
    children: list[psutil.Process] = []
    try:
        with running(scheduler), running(nanny):
            try:
                yield address
            finally:
                children = psutil.Process(nanny.pid).children(recursive=True)
    finally:
        for child in children:
            if child.is_running():
                child.kill()
