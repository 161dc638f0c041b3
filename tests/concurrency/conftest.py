"""Every test here runs its loads in processes that fork from a warm one."""

from __future__ import annotations

import pytest
from faults.processes import start_warm_process


@pytest.fixture(scope="session", autouse=True)
def warm_process() -> None:
    """Imports dlt and pyiceberg once for all children."""
    start_warm_process()
