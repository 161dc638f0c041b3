"""One measurement: a pipeline run taken apart into its steps, in a process of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.memory import forget_peak, peak_bytes, resident_bytes

if TYPE_CHECKING:
    import dlt


@dataclass(frozen=True)
class Measurement:
    """What one run took.

    Attributes:
        load_seconds: The load step: all that happens after dlt extracted and normalized; None
            where the work has no such step.
        whole_seconds: The whole run, imports left out.
        peak_bytes: The most memory that the process held at any time; 0 where nobody looked.
        load_added_bytes: How far the load step went beyond the peak of what came before it.
        load_grown_bytes: How far the load step went beyond what was resident when it began.
        snapshots: Snapshots that the run made on `main` of the table; None where none is looked at.
        extra: More numbers, of some cases only.
    """

    load_seconds: float | None
    whole_seconds: float
    peak_bytes: int = 0
    load_added_bytes: int = 0
    load_grown_bytes: int = 0
    snapshots: int | None = None
    extra: dict[str, float] | None = None


def run(pipeline: dlt.Pipeline, source: Any) -> Measurement:
    """Does what `pipeline.run(source)` does, step by step."""
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
