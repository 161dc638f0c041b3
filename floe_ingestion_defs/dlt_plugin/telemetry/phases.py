"""The phases of a load: how long each took, and a span around each.

`extract` and `normalize` are dlt's; `stage`, `audit`, `commit` and `publish` are the destination's,
which enters the clock's context manager around each of them.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from floe_ingestion_defs.dlt_plugin.telemetry.tracing import traced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_ingestion_defs.dlt_plugin.errors.redaction import Redactor


@dataclass
class PhaseClock:
    """Measures the phases of one load, for all of its attempts together.

    Attributes:
        redactor: Redacts secrets from the error of a failed phase.
        seconds: Seconds by phase, in the order in which the phases first started.
    """

    redactor: Redactor = field(repr=False)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def around(self, phase: str) -> Iterator[None]:
        """Create a span around a phase, and add the duration of the phase."""
        started = time.monotonic()
        try:
            with traced(f"ingestion.{phase}", redactor=self.redactor):
                yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - started
