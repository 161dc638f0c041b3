"""How long a file is kept that nothing refers to yet, and so how late a commit may name it.

The orphan sweep goes by the age of files. A process can be suspended at any point, for a night or a
weekend, so each commit is checked against the time at which the first of its files may have been
written.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

# What is older is not committed: its files may be gone. The hour between the two is for clocks that
# differ, and for what a commit takes once it was checked.
COMMIT_WITHIN_SECONDS = 23 * 3600.0
DELETE_AFTER_SECONDS = 24 * 3600.0


def _steady() -> float:
    # On Linux the monotonic clock stops while a machine is suspended.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(frozen=True)
class Since:
    """The time since it was made, by whichever clock says more.

    The sweep goes by the wall clock, which runs on while a machine is suspended and may be set
    back; the other one is never set.
    """

    _wall: float = field(default_factory=lambda: time.time())
    _steady: float = field(default_factory=_steady)

    @property
    def seconds(self) -> float:
        """The seconds that have passed."""
        return max(time.time() - self._wall, _steady() - self._steady)

    @property
    def is_too_long(self) -> bool:
        """Whether files that were written since may have been swept."""
        return self.seconds > COMMIT_WITHIN_SECONDS
