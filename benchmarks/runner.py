"""Runs each measurement in a fresh process, as often as asked, and keeps the median."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Measurement

Function = Callable[..., Any]

SHORT_TIMES = 3


@dataclass
class Bench:
    """Where the benchmarks keep their files, and how often they repeat.

    Attributes:
        root: A folder outside the tree; `cache` and `prepared` in it survive, `run` does not.
        repetitions: How often each measurement is made.
        with_slow: Whether stock dlt's case of several minutes is run too.
        log: Where the progress goes.
    """

    root: Path
    repetitions: int = 3
    with_slow: bool = False
    log: Callable[[str], None] = print

    @property
    def cache(self) -> Path:
        """Generated input data."""
        return self.root / "cache"

    def call(self, function: Function, **arguments: Any) -> Any:
        """Calls a function in a fresh process; what it returns comes back through JSON."""
        target = f"{function.__module__}:{function.__qualname__}"
        with tempfile.TemporaryDirectory(prefix="floe-bench-") as folder:
            answer = Path(folder) / "answer.json"
            command = [sys.executable, "-m", "benchmarks.child", target]
            done = subprocess.run(
                [*command, json.dumps(arguments, default=str), str(answer)],
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                msg = f"{target} {arguments} failed:\n{done.stdout}\n{done.stderr}"
                raise RuntimeError(msg)
            return json.loads(answer.read_text())

    def prepare(self, name: str, function: Function, **arguments: Any) -> Path:
        """A home made by `function` once, and kept; measurements work on copies of it.

        An Iceberg table knows its own path, so a copy is measured where the original was made.
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
        self, name: str, function: Function, repetitions: int | None = None, **arguments: Any
    ) -> Measurement:
        """The median of repeated measurements, each on a fresh copy of what was prepared.

        What takes less than a second is repeated more often: anything else that the machine does
        shows in it.
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
            found = self.call(function, home=home, cache=self.cache, **arguments)
            results.append(Measurement(**found))
            took = found["load_seconds"] or found["whole_seconds"]
            self.log(f"  {name} {_described(arguments)}: {took:.2f} s")
        shutil.rmtree(home, ignore_errors=True)
        return median(results)


def _are_short(results: list[Measurement]) -> bool:
    return statistics.median(result.whole_seconds for result in results) < 1


def median(results: list[Measurement]) -> Measurement:
    """The median of each number by itself."""
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


def _environment() -> dict[str, str]:
    # A child is found at its real peak only if it is itself: what a process was before exec counts.
    return {
        **os.environ,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
