"""One measurement: a pipeline run split into its steps, in a separate process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.memory import forget_peak, peak_bytes, resident_bytes

if TYPE_CHECKING:
    import dlt


@dataclass(frozen=True)
class Measurement:
    """The time and memory of one run.

    Attributes:
        load_seconds: Duration of the load step, which follows extract and normalize; None if the
            case has no such step.
        whole_seconds: Duration of the whole run, without imports.
        peak_bytes: Peak memory of the process; 0 if it was not measured.
        load_added_bytes: Memory that the load step used beyond the peak of the steps before it.
        load_grown_bytes: Memory that the load step used beyond what was resident at its start.
        snapshots: Snapshots that the run created on `main` of the table; None if not counted.
        extra: Further numbers of some cases.
    """

    load_seconds: float | None
    whole_seconds: float
    peak_bytes: int = 0
    load_added_bytes: int = 0
    load_grown_bytes: int = 0
    snapshots: int | None = None
    extra: dict[str, float] | None = None


def run(pipeline: dlt.Pipeline, source: Any) -> Measurement:
    """Run the steps of `pipeline.run(source)` one by one."""
    started = time.perf_counter()
    pipeline.sync_destination()
    pipeline.extract(source)
    pipeline.normalize()
    peak_before, resident = peak_bytes(), resident_bytes()
    forget_peak()
    load_started = time.perf_counter()
    pipeline.load()
    ended = time.perf_counter()
    peak_of_load = peak_bytes()
    return Measurement(
        load_seconds=ended - load_started,
        whole_seconds=ended - started,
        peak_bytes=max(peak_before, peak_of_load),
        load_added_bytes=max(0, peak_of_load - peak_before),
        load_grown_bytes=max(0, peak_of_load - resident),
    )
