"""Runs the model in this process."""

from __future__ import annotations

import os

from generation import without_shrinking
from hypothesis import Verbosity, seed
from hypothesis.stateful import run_state_machine_as_test

from faults.open_world.machine import OpenWorld
from faults.open_world.surroundings import install


def run_model(number: int, examples: int, steps: int) -> None:
    """Run the model in this process, which it patches for good."""
    OpenWorld.surroundings = install()
    bounds = without_shrinking(
        examples,
        stateful_step_count=steps,
        verbosity=Verbosity.debug if os.environ.get("FLOE_V") else Verbosity.normal,
    )
    run_state_machine_as_test(seed(number)(OpenWorld), settings=bounds)
