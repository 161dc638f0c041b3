"""`python -m benchmarks`: measures, prints the table, and writes it beside its numbers."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from benchmarks.case import Case, find_cases
from benchmarks.results import markdown, store, stored, write_page
from benchmarks.runner import Bench

PROJECT = Path(__file__).parents[1]
ROOT = Path(os.environ.get("FLOE_BENCH_DIR") or PROJECT / ".floe" / "bench")
PAGE = PROJECT / "docs" / "benchmarks.md"


def main() -> int:
    """Measures the cases that are asked for."""
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
        store(cases[name], rows, results)
        missed += [t for row in rows for t in row.targets if t.reached is False]
    table = markdown(stored(cases, results))
    results.mkdir(parents=True, exist_ok=True)
    (results / "benchmarks.md").write_text(table)
    print(table)
    if options.write_docs:
        write_page(PAGE, table)
    return 1 if missed and options.strict else 0


def _parse(cases: dict[str, Case]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(cases)}; all by default")
    parser.add_argument("--repetitions", type=int, default=3, help="of which the median counts")
    parser.add_argument("--root", type=Path, default=ROOT, help="for data; or $FLOE_BENCH_DIR")
    parser.add_argument("--fresh", action="store_true", help="prepare all tables anew")
    parser.add_argument("--strict", action="store_true", help="fail where a target is missed")
    parser.add_argument(
        "--with-slow", action="store_true", help="also what takes stock dlt several minutes"
    )
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="write all stored results into docs/benchmarks.md; measures only the cases named",
    )
    options = parser.parse_args()
    if unknown := set(options.cases) - cases.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return options


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
