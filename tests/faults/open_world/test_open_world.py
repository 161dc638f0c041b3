"""This project's loads among other writers, operators, clocks and lost rights, at random."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from faults.open_world.run import run_model
from faults.processes import start

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = int(os.environ.get("FLOE_OPEN_WORLD_EXAMPLES", "5"))
STEPS = int(os.environ.get("FLOE_OPEN_WORLD_STEPS", "20"))


@pytest.mark.timeout(960)
@pytest.mark.parametrize(
    "seed",
    [
        # For a test that is the same each time; `make test-all` draws another one.
        pytest.param(3137500816, id="known"),
        pytest.param(None, id="random", marks=pytest.mark.all_cases),
    ],
)
def test_no_row_is_lost_or_duplicated_among_other_writers(seed: int | None, tmp_path: Path) -> None:
    """Run again with `FLOE_OPEN_WORLD_SEED` set to the printed number."""
    seed = int(os.environ.get("FLOE_OPEN_WORLD_SEED", seed or random.randrange(2**32)))
    print(f"FLOE_OPEN_WORLD_SEED={seed}")
    arguments = (seed, EXAMPLES, STEPS)
    start(run_model, *arguments, environment={}, folder=tmp_path).result(seconds=900.0)
