"""The table of what was measured, beside what is to be reached."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Measurement

MB = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """One thing to reach.

    Attributes:
        wanted: The target in words.
        found: What was measured, in words; None where this run did not measure it.
        reached: Whether it is reached.
    """

    wanted: str
    found: str | None
    reached: bool | None


@dataclass(frozen=True)
class Row:
    """One piece of work, by both sides or by this project alone."""

    work: str
    floe: Measurement
    targets: Sequence[Target]
    stock: Measurement | None = None
    note: str = ""


def at_least(times: float, floe: float, stock: float | None) -> Target:
    """This project has to be so many times faster than stock dlt."""
    wanted = f"≥ {times:g}x faster"
    if stock is None:
        return Target(wanted, None, None)
    return Target(wanted, f"{stock / floe:.1f}x faster", stock >= times * floe)


def at_most(
    limit: float, value: float, what: str, show: Callable[[float], str] = lambda v: f"{v:.2f}"
) -> Target:
    """A value has to stay within a limit."""
    return Target(f"{what} ≤ {show(limit)}", show(value), value <= limit)


def exactly(wanted: int, found: int | float | None, what: str) -> Target:
    """A count has to be just that."""
    return Target(f"{what}: {wanted}", str(int(found or 0)), found == wanted)


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def megabytes(value: float) -> str:
    return f"{value / MB:.0f} MB"


def ratio(value: float) -> str:
    return f"{value:.2f}x"


def write(rows: Sequence[Row], folder: Path) -> str:
    """Writes `benchmarks.md` and `benchmarks.json` into a folder.

    Returns:
        The Markdown.
    """
    taken = datetime.now(UTC).replace(microsecond=0)
    machine = {
        "taken_at": taken.isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        **{name: version(name) for name in ("dlt", "pyiceberg", "pyarrow")},
    }
    folder.mkdir(parents=True, exist_ok=True)
    document = {"run": machine, "rows": [asdict(row) for row in rows]}
    (folder / "benchmarks.json").write_text(json.dumps(document, indent=2) + "\n")
    text = markdown(rows, machine)
    (folder / "benchmarks.md").write_text(text)
    return text


def markdown(rows: Sequence[Row], machine: Mapping[str, object]) -> str:
    """The table, and what it was measured with."""
    lines = [
        "| work | side | load step | whole run | peak memory | snapshots |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(_measured(row.work, "this project", row.floe))
        if row.stock is not None:
            lines.append(_measured("", "stock dlt", row.stock))
    lines += ["", "| work | to reach | found | reached |", "|---|---|---|---|"]
    for row in rows:
        for target in row.targets:
            found = "not measured in this run" if target.found is None else target.found
            reached = {None: "-", True: "yes", False: "**no**"}[target.reached]
            lines.append(f"| {row.work} | {target.wanted} | {found} | {reached} |")
    notes = [f"- {row.work}: {row.note}" for row in rows if row.note]
    described = ", ".join(f"{name} {value}" for name, value in machine.items())
    return "\n".join([*lines, "", *notes, *([""] if notes else []), described, ""])


def _measured(work: str, side: str, found: Measurement) -> str:
    peak = megabytes(found.peak_bytes) if found.peak_bytes else "-"
    snapshots = "-" if found.snapshots is None else str(int(found.snapshots))
    load, whole = seconds(found.load_seconds), seconds(found.whole_seconds)
    return f"| {work} | {side} | {load} | {whole} | {peak} | {snapshots} |"
