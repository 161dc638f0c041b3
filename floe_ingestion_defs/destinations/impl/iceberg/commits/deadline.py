"""How long an unreferenced file is kept, and so how late a commit may refer to it.

The orphan sweep decides by the age of files. A process can be suspended at any point, for a night
or a weekend, so each commit is checked against the time at which the first of its files may have
been written.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

# An older load is not committed: its files may have been deleted. The hour between the two allows
# for clocks that differ, and for the time that a commit takes after the check.
COMMIT_WITHIN_SECONDS = 23 * 3600.0
DELETE_AFTER_SECONDS = 24 * 3600.0


def _steady() -> float:
    # On Linux the monotonic clock stops while a machine is suspended.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(frozen=True)
class Since:
    """The time since its creation, by the clock that shows more.

    The sweep uses the wall clock, which runs on while a machine is suspended and may be set back;
    the other one is never set.
    """

    _wall: float = field(default_factory=lambda: time.time())
    _steady: float = field(default_factory=_steady)

    @property
    def seconds(self) -> float:
        """The seconds that have elapsed."""
        return max(time.time() - self._wall, _steady() - self._steady)

    @property
    def is_too_long(self) -> bool:
        """Whether files that were written since then may have been swept."""
        return self.seconds > COMMIT_WITHIN_SECONDS
