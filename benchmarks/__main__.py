"""`python -m benchmarks`: runs the benchmarks, and prints and stores the table of the results."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from benchmarks.case import Case, find_cases
from benchmarks.results import markdown, publish, store, stored, write_page
from benchmarks.runner import Bench

PROJECT = Path(__file__).parents[1]
ROOT = Path(os.environ.get("FLOE_BENCH_DIR") or PROJECT / ".floe" / "bench")
PAGE = PROJECT / "docs" / "destination" / "benchmarks.md"
PUBLISHED = PROJECT / "benchmarks" / "published"


def main() -> int:
    """Measure the requested cases."""
    cases = find_cases()
    options = _parse(cases)
    bench = Bench(options.root.absolute(), options.repetitions, options.with_slow, _log)
    results = bench.root / "results"
    if options.fresh:
        shutil.rmtree(bench.root / "prepared", ignore_errors=True)
    missed = []
    for name in options.cases or ([] if options.write_docs else cases):
        _log(name)
        rows = cases[name].measure(bench)
        if rows:  # A slow case that was not requested has none.
            store(cases[name], rows, results)
        missed += [t for row in rows for t in row.targets if t.reached is False]
    table = markdown(stored(cases, results))
    results.mkdir(parents=True, exist_ok=True)
    (results / "benchmarks.md").write_text(table)
    print(table)
    if options.write_docs:
        publish(results, PUBLISHED)
        write_page(PAGE, markdown(stored(cases, PUBLISHED)))
    return 1 if missed and options.strict else 0


def _parse(cases: dict[str, Case]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", help=f"cases to measure: {', '.join(cases)}. Default: all"
    )
    parser.add_argument(
        "--repetitions",
        type=int,
        default=3,
        help="number of measurements, of which the median is reported",
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="folder for data. Default: $FLOE_BENCH_DIR"
    )
    parser.add_argument("--fresh", action="store_true", help="prepare all tables again")
    parser.add_argument("--strict", action="store_true", help="fail if a target is missed")
    parser.add_argument(
        "--with-slow",
        action="store_true",
        help="include the cases that take several minutes",
    )
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="add the stored results to the published ones, and write those into the page on "
        "benchmarks; measure only the named cases",
    )
    options = parser.parse_args()
    if unknown := set(options.cases) - cases.keys():
        parser.error(f"unknown case: {', '.join(sorted(unknown))}")
    return options


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
