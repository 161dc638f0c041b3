"""How long a run process takes to start: `python -m benchmarks.startup`.

Processor time, which other work on the machine hardly changes, of fresh processes that each do one
thing more; and which packages take the time of the imports.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter

ROUNDS = 3
RUN = """
from dagster._core.definitions.definitions_load_context import *
DefinitionsLoadContext.set(DefinitionsLoadContext(load_type=DefinitionsLoadType.RECONSTRUCTION))
"""
LOCATION = "from floe_ingestion_defs.definitions import defs; defs()"
# What each process does; the last is what every process of a load has imported.
STAGES = {
    "the interpreter": "pass",
    "import dagster": "import dagster",
    "import dlt": "import dagster, dlt",
    "load the code location, for the UI": LOCATION,
    "load the code location, for a run": f"{RUN}{LOCATION}",
    "import Arrow and pyiceberg as well": f"{RUN}{LOCATION}; import pyiceberg.table",
}
IMPORT = re.compile(r"^import time: +(?P<own>\d+) \| +\d+ \| +(?P<package>\w+)")


def measure(code: str) -> float:
    """Return the least processor time in seconds of fresh processes that run some code."""
    return min(_seconds(code) for _ in range(ROUNDS))


def find_slowest_packages(code: str) -> list[tuple[str, float]]:
    """Return the packages that take most of the time of the imports, with their seconds."""
    done = _run("-X", "importtime", "-c", code)
    seconds: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        if match := IMPORT.match(line):
            seconds[match["package"]] += int(match["own"])
    return [(package, micro / 1e6) for package, micro in seconds.most_common(8)]


def _seconds(code: str) -> float:
    before = os.times()
    _run("-c", code)
    after = os.times()
    children = (after.children_user, after.children_system)
    return sum(children) - before.children_user - before.children_system


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "FLOE_HOME": home, "DAGSTER_DISABLE_TELEMETRY": "true"},
            check=True,
            capture_output=True,
            text=True,
        )


def main() -> None:
    """Print the table of the stages, and the packages."""
    print("| a process that has … | seconds of processor time |\n|---|---|")
    for title, code in STAGES.items():
        print(f"| {title} | {measure(code):.1f} |", flush=True)
    slowest = find_slowest_packages(f"{RUN}{LOCATION}")
    print("\nimports:", ", ".join(f"{package} {seconds:.1f} s" for package, seconds in slowest))


if __name__ == "__main__":
    main()
