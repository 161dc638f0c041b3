"""The results on disk: one JSON file per case, and the Markdown table of all cases.

Measuring a case again replaces only its own file, so a long benchmark can be run case by case. The
figures in the documentation are those in `published`, a folder of the same files in the repository:
they outlive the machine that measured them.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from benchmarks.case import SECTIONS, Case
from benchmarks.report import Row, megabytes, seconds

if TYPE_CHECKING:
    from pathlib import Path

# The table in the page of the documentation is between these lines.
BEGIN = "<!-- The figures below are written by `python -m benchmarks --write-docs`. -->"
END = "<!-- The end of the figures. -->"

# Other work on the machine, beyond what a case itself causes, is stated with its figures.
BUSY_LOAD_AVERAGE = 4.0

Document = Mapping[str, Any]


def store(case: Case, rows: Sequence[Row], folder: Path) -> None:
    """Write `{case}.json`: the rows, and the versions and machine they were measured with."""
    document = {
        "case": case.name,
        "section": case.section,
        "taken_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "load_average": round(os.getloadavg()[0], 1),
        "with": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("dlt", "pyiceberg", "pyarrow", "dagster")},
        },
        "on": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "rows": [asdict(row) for row in rows],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{case.name}.json").write_text(json.dumps(document, indent=2) + "\n")


def stored(cases: Mapping[str, Case], folder: Path) -> list[Document]:
    """Return the results so far, in the order of the cases."""
    files = [folder / f"{name}.json" for name in cases]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def publish(measured: Path, published: Path) -> None:
    """Copy the results that are newer than the published ones; other cases keep theirs."""
    published.mkdir(parents=True, exist_ok=True)
    for file in measured.glob("*.json"):
        target = published / file.name
        if not target.exists() or _taken_at(target) < _taken_at(file):
            shutil.copyfile(file, target)


def _taken_at(file: Path) -> datetime:
    return datetime.fromisoformat(json.loads(file.read_text())["taken_at"])


def write_page(page: Path, table: str) -> None:
    """Replace the figures in a page of the documentation.

    Raises:
        ValueError: The page does not contain the two marker lines.
    """
    text = page.read_text()
    head, found, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (found and ended):
        msg = (
            f"{page} does not contain the lines between which figures are written:\n{BEGIN}\n{END}"
        )
        raise ValueError(msg)
    page.write_text(f"{head}{BEGIN}\n\n{table}\n{END}{tail}")


def markdown(documents: Sequence[Document]) -> str:
    """Return the tables: the measurements and the targets of each section."""
    lines: list[str] = []
    for section in SECTIONS:
        rows = [row for d in documents if d["section"] == section for row in d["rows"]]
        if rows:
            lines += [f"### {section}", "", *_figures(rows), "", *_targets(rows), "", *_notes(rows)]
    return "\n".join([*lines, *_circumstances(documents), ""])


def _figures(rows: Sequence[Document]) -> list[str]:
    lines = [
        "| work | side | load step | whole run | CPU seconds per million rows | peak memory "
        "| snapshots |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for number, (side, found) in enumerate(row["measured"].items()):
            step = found["load_seconds"]
            cells = [
                row["work"] if number == 0 else "",
                side,
                "-" if step is None else seconds(step),
                seconds(found["whole_seconds"]),
                _cpu_per_million(found),
                megabytes(found["peak_bytes"]) if found["peak_bytes"] else "-",
                "-" if found["snapshots"] is None else str(int(found["snapshots"])),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cpu_per_million(found: Document) -> str:
    # Results of earlier versions have neither field.
    spent, rows = found.get("cpu_seconds"), found.get("rows")
    return f"{spent / rows * 1_000_000:.2f}" if spent is not None and rows else "-"


def _targets(rows: Sequence[Document]) -> list[str]:
    lines = ["| work | target | measured | met |", "|---|---|---|---|"]
    for row in rows:
        for target in row["targets"]:
            found = target["found"] or "not measured in this run"
            reached = {None: "-", True: "yes", False: "**no**"}[target["reached"]]
            lines.append(f"| {row['work']} | {target['wanted']} | {found} | {reached} |")
    return lines


def _notes(rows: Sequence[Document]) -> list[str]:
    notes = [f"- {row['work']}: {row['note']}" for row in rows if row["note"]]
    return [*notes, ""] if notes else []


def _circumstances(documents: Sequence[Document]) -> list[str]:
    """Return the versions and machines; cases of the same day and machine share a line."""
    together: dict[str, list[str]] = {}
    for document in documents:
        versions = ", ".join(f"{name} {value}" for name, value in document["with"].items())
        line = f"{document['taken_at'][:10]}, {document['on']}, {versions}"
        together.setdefault(line, []).append(_with_load(document))
    return [f"Measured on {line}: {', '.join(cases)}." for line, cases in together.items()]


def _with_load(document: Document) -> str:
    """Return the name of a case, with the load average of a machine that did other work, too."""
    load = document["load_average"]
    return f"{document['case']}{f' (load average {load})' if load >= BUSY_LOAD_AVERAGE else ''}"
