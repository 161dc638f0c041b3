"""What is special about Ray; `test_clusters` has what all clusters have in common."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import ray

from floe_ingestion_defs.destinations.impl.iceberg.parallel.in_parallel import in_parallel

if TYPE_CHECKING:
    import pytest


def add(one: int, other: int) -> int:
    return one + other


def test_ray_leaves_the_handling_of_signals_as_it_is(
    ray_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dlt and Dagster end a run in good order; Ray's handler ends the process."""
    monkeypatch.setenv("RAY_ADDRESS", ray_address)
    ray.shutdown()
    before = signal.getsignal(signal.SIGTERM)
    assert list(in_parallel(add, 1, [2], "ray")) == [(2, 3)]
    assert signal.getsignal(signal.SIGTERM) is before
    ray.shutdown()
