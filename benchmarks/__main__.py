"""`python -m benchmarks`: measures, prints the table, and writes it beside its numbers."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.cases import append, contention, growth, merge, nothing_new, pruning
from benchmarks.runner import Bench

GROUPS = {
    "merge": merge.cases,
    "append": append.cases,
    "nothing-new": nothing_new.cases,
    "pruning": pruning.cases,
    "growth": growth.cases,
    "contention": contention.cases,
}
ROOT = Path(os.environ.get("FLOE_BENCH_DIR") or Path(__file__).parents[1] / ".floe" / "bench")


def main() -> int:
    """Measures the groups that are asked for."""
    options = _parse()
    bench = Bench(options.root.absolute(), options.repetitions, options.with_slow, _log)
    if options.fresh:
        shutil.rmtree(bench.root / "prepared", ignore_errors=True)
    rows = []
    for group in options.groups or GROUPS:
        _log(group)
        rows += GROUPS[group](bench)
    print(report.write(rows, bench.root / "results"))
    missed = [t for row in rows for t in row.targets if t.reached is False]
    return 1 if missed and options.strict else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--repetitions", type=int, default=3, help="of which the median counts")
    parser.add_argument("--root", type=Path, default=ROOT, help="for data; or $FLOE_BENCH_DIR")
    parser.add_argument("--fresh", action="store_true", help="prepare all tables anew")
    parser.add_argument("--strict", action="store_true", help="fail where a target is missed")
    parser.add_argument(
        "--with-slow", action="store_true", help="also what takes stock dlt several minutes"
    )
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    return options


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
