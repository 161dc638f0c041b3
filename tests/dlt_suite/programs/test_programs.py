"""The same program leaves the same dataset on `iceberg` as on dlt's `duckdb` destination."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
import time
from pathlib import Path

import pytest
from dlt_suite.programs.execution import execute
from dlt_suite.programs.program import Drop, Load, Program, programs
from dlt_suite.runs import Run
from generation import without_shrinking
from hypothesis import given, seed

# The numbers of the programs to run, counted from 0, such as `515,594`; all without it.
ONLY = {int(number) for number in os.environ.get("FLOE_PROGRAM", "").split(",") if number}
MINUTES = float(os.environ.get("FLOE_PROGRAM_MINUTES", "inf"))
EXAMPLES = max(ONLY) + 1 if ONLY else int(os.environ.get("FLOE_PROGRAMS", "16"))


def compare(program: Program) -> None:
    """Run a program against both destinations, and compare what each step leaves."""
    with (
        tempfile.TemporaryDirectory(prefix="floe-program-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(name)
        patch.setenv("FLOE_HOME", str(folder / "floe"))
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        patch.setenv("SCHEMA__NAMING", program.naming)
        patch.setenv("DESTINATION__REPLACE_STRATEGY", program.replace_strategy)
        patch.chdir(folder)
        runs = (execute(program, Run(kind, folder)) for kind in ("duckdb", "iceberg"))
        for step, (expected, actual) in zip(program.steps, zip(*runs, strict=True), strict=True):
            if expected[0] == "failed in load":
                return  # What dlt cannot load into `duckdb`, such as a merge without a row key.
            assert actual[0] == expected[0], step
            assert actual[1].keys() == expected[1].keys(), step
            for table, (columns, rows) in expected[1].items():
                if _updates(step) and rows != actual[1][table][1]:
                    # `duckdb` updates each of several rows with the same key; here one remains.
                    assert set(rows) == set(actual[1][table][1]), (table, step)
                    return
                assert actual[1][table] == (columns, rows), (table, step)


def _updates(step: Load | Drop) -> bool:
    dispositions = [extract.hints["write_disposition"] for extract in getattr(step, "extracts", ())]
    return any(d["strategy"] in ("upsert", "cdc") for d in dispositions if isinstance(d, dict))


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "number",
    [
        # `make test` is the same each time; `make test-all` draws another seed.
        pytest.param(20261127, id="known"),
        pytest.param(None, id="random", marks=pytest.mark.all_cases),
    ],
)
def test_a_program_leaves_the_same_tables_as_on_duckdb(number: int | None) -> None:
    """For a known seed and for a random one, which is printed.

    `FLOE_PROGRAM_SEED` repeats a seed, `FLOE_PROGRAM` single programs of it, and
    `FLOE_PROGRAM_MINUTES` ends a long run.
    """
    if number is None:
        number = int(os.environ.get("FLOE_PROGRAM_SEED", random.randrange(2**32)))
    print(f"programs of seed {number}")
    count = itertools.count()
    ends = time.monotonic() + 60 * MINUTES
    differences: dict[int, str] = {}

    def compare_numbered(program: Program) -> None:
        if time.monotonic() < ends and (position := next(count)) in (ONLY or {position}):
            try:
                compare(program)
            except AssertionError as difference:
                differences[position] = f"{program}\n{difference}"
                print(f"program {position} differs: {differences[position]}")

    seed(number)(without_shrinking(EXAMPLES)(given(programs)(compare_numbered)))()
    print(f"{next(count)} programs compared")
    assert not differences, f"of seed {number}, programs {sorted(differences)}: {differences}"
