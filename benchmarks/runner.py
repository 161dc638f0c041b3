"""Runs each measurement several times, each in a new process, and returns the median."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Measurement

Function = Callable[..., Any]

SHORT_TIMES = 3


@dataclass
class Bench:
    """The files of the benchmarks, and how often a measurement is repeated.

    Attributes:
        root: A folder outside the tree; `cache` and `prepared` in it are kept, `run` is not.
        repetitions: Number of repetitions of each measurement.
        with_slow: Whether to run the cases that take several minutes.
        log: Function that reports the progress.
    """

    root: Path
    repetitions: int = 3
    with_slow: bool = False
    log: Callable[[str], None] = print

    @property
    def cache(self) -> Path:
        """Generated input data."""
        return self.root / "cache"

    def call(self, function: Function, packages: Sequence[Path] = (), **arguments: Any) -> Any:
        """Call a function in a new process, and return its result, which is passed as JSON.

        Args:
            function: A function of a module.
            packages: Folders of packages that the process imports instead of the environment's.
            arguments: Its arguments.
        """
        target = f"{function.__module__}:{function.__qualname__}"
        with tempfile.TemporaryDirectory(prefix="floe-bench-") as folder:
            answer = Path(folder) / "answer.json"
            command = [sys.executable, "-m", "benchmarks.child", target]
            done = subprocess.run(
                [*command, json.dumps(arguments, default=str), str(answer)],
                env=_environment(packages),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                msg = f"{target} {arguments} failed:\n{done.stdout}\n{done.stderr}"
                raise RuntimeError(msg)
            return json.loads(answer.read_text())

    def prepare(self, name: str, function: Function, **arguments: Any) -> Path:
        """Return the path of a home that `function` creates once; measurements use copies of it.

        An Iceberg table stores its own path, so a copy is measured where the original was created.
        """
        kept = self.root / "prepared" / name
        home = self.root / "run" / name
        if not kept.exists():
            self.log(f"  preparing {name}")
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            self.call(function, home=home, cache=self.cache, **arguments)
            kept.parent.mkdir(exist_ok=True)
            shutil.copytree(home, kept)
        return home

    def measure(
        self,
        name: str,
        function: Function,
        repetitions: int | None = None,
        packages: Sequence[Path] = (),
        **arguments: Any,
    ) -> Measurement:
        """Return the median of repeated measurements, each on a new copy of the prepared home.

        A run of less than a second is repeated more often, because other activity of the machine
        affects it more.
        """
        kept = self.root / "prepared" / name
        home = self.root / "run" / name
        results: list[Any] = []
        least = repetitions or self.repetitions
        while len(results) < least or (_are_short(results) and len(results) < SHORT_TIMES * least):
            shutil.rmtree(home, ignore_errors=True)
            if kept.exists():
                shutil.copytree(kept, home)
            else:
                home.mkdir(parents=True)
            found = self.call(function, packages, home=home, cache=self.cache, **arguments)
            results.append(Measurement(**found))
            took = found["load_seconds"] or found["whole_seconds"]
            self.log(f"  {name} {_described(arguments)}: {took:.2f} s")
        shutil.rmtree(home, ignore_errors=True)
        return median(results)


def _are_short(results: list[Measurement]) -> bool:
    return statistics.median(result.whole_seconds for result in results) < 1


def median(results: list[Measurement]) -> Measurement:
    """Return the median of each number separately."""
    first = results[0]
    changes: dict[str, Any] = {}
    for each in fields(Measurement):
        values = [getattr(result, each.name) for result in results]
        if isinstance(values[0], int | float):
            changes[each.name] = statistics.median(values)
        elif isinstance(values[0], dict):
            changes[each.name] = {
                name: statistics.median([value[name] for value in values]) for name in values[0]
            }
    return replace(first, **changes)


def _described(arguments: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in arguments.items())


def _environment(packages: Sequence[Path]) -> dict[str, str]:
    path = [*map(str, packages), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Each child is a new process: the peak memory of a process includes that from before `exec`.
    return {
        **os.environ,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        **({"PYTHONPATH": os.pathsep.join(path)} if path else {}),
    }
