"""One measurement: a pipeline run split into its steps, in a separate process."""

from __future__ import annotations

import resource
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
        cpu_seconds: Processor time of the whole run, user and system, of the process and of its
            children that have ended; None if other processes did a part of the work.
        rows: Rows that the run loaded; None if it is not measured by its rows.
        peak_bytes: Peak memory of the process; 0 if it was not measured.
        load_added_bytes: Memory that the load step used beyond the peak of the steps before it.
        load_grown_bytes: Memory that the load step used beyond what was resident at its start.
        snapshots: Snapshots that the run created on `main` of the table; None if not counted.
        extra: Further numbers of some cases.
    """

    load_seconds: float | None
    whole_seconds: float
    cpu_seconds: float | None = None
    rows: int | None = None
    peak_bytes: int = 0
    load_added_bytes: int = 0
    load_grown_bytes: int = 0
    snapshots: int | None = None
    extra: dict[str, float] | None = None


class Stopwatch:
    """Measures a run that begins when this is created."""

    def __init__(self) -> None:
        self._cpu_seconds = _cpu_seconds()
        self._started = time.perf_counter()

    def stop(self, load_seconds: float | None = None, **further: Any) -> Measurement:
        """Return the measurement of the run.

        Args:
            load_seconds: Duration of the load step.
            further: Other fields of the measurement.
        """
        seconds = time.perf_counter() - self._started
        spent = _cpu_seconds() - self._cpu_seconds
        return Measurement(load_seconds, seconds, spent, **further)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def run(pipeline: dlt.Pipeline, source: Any) -> Measurement:
    """Run the steps of `pipeline.run(source)` one by one."""
    watch = Stopwatch()
    pipeline.sync_destination()
    pipeline.extract(source)
    pipeline.normalize()
    peak_before, resident = peak_bytes(), resident_bytes()
    forget_peak()
    load_started = time.perf_counter()
    pipeline.load()
    load_seconds = time.perf_counter() - load_started
    peak_of_load = peak_bytes()
    return watch.stop(
        load_seconds,
        peak_bytes=max(peak_before, peak_of_load),
        load_added_bytes=max(0, peak_of_load - peak_before),
        load_grown_bytes=max(0, peak_of_load - resident),
    )
