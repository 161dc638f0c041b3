"""This project's loads among other writers, operators, clocks and lost rights, at random."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from faults.open_world.machine import run_model
from faults.processes import start

EXAMPLES = int(os.environ.get("FLOE_OPEN_WORLD_EXAMPLES", "6"))
STEPS = int(os.environ.get("FLOE_OPEN_WORLD_STEPS", "20"))


@pytest.mark.timeout(960)
def test_no_row_is_lost_or_doubled_among_other_writers(tmp_path: Path) -> None:
    """Run again with `FLOE_OPEN_WORLD_SEED` set to the printed number."""
    number = int(os.environ.get("FLOE_OPEN_WORLD_SEED", random.randrange(2**32)))
    print(f"FLOE_OPEN_WORLD_SEED={number}")
    arguments = (number, EXAMPLES, STEPS)
    start(run_model, *arguments, environment={}, folder=tmp_path).result(seconds=900.0)
