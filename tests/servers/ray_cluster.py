"""A Ray cluster of some worker processes on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from servers.process import Server, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

_TESTS = Path(__file__).parents[1]
_STORE_BYTES = 100 * 1024 * 1024


@contextmanager
def running_ray(folder: Path, workers: int = 2) -> Iterator[str]:
    """Runs a cluster of so many workers and yields its address.

    Raises:
        ServerDidNotStart: It did not start in time.
    """
    port = free_port()
    address = f"127.0.0.1:{port}"
    # The paths of its sockets may have 107 characters, which pytest's folders have already.
    scratch = Path(tempfile.mkdtemp(prefix="ray-"))
    program = Path(sys.executable).parent / "ray"
    arguments = {
        "node-ip-address": "127.0.0.1",
        "port": port,
        "num-cpus": workers,
        "object-store-memory": _STORE_BYTES,
        "include-dashboard": "false",
        "temp-dir": scratch,
    }
    options = [f"--{name}={value}" for name, value in arguments.items()]
    server = Server(
        [program, "start", "--head", "--block", "--disable-usage-stats", *options],
        lambda: "--block" in log.read_text(),
        log := folder / "ray.log",
        seconds=90,
        environment={
            **os.environ,
            "PYTHONPATH": str(_TESTS),  # Of the workers.
            "RAY_DISABLE_MEMORY_MONITOR": "1",
        },
    )
    try:
        with running(server):
            children = psutil.Process(server.pid).children(recursive=True)
            yield address
    finally:
        for child in children:
            if child.is_running():
                child.kill()
        shutil.rmtree(scratch, ignore_errors=True)
