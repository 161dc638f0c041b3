"""The peak memory of this process, as the operating system counts it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most memory that was resident since the process began, or `forget_peak` was called."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """The memory that is resident now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def forget_peak() -> None:
    """Lets Linux count the peak from here on; elsewhere it goes on from the process's beginning."""
    counter = Path("/proc/self/clear_refs")
    if counter.exists():
        counter.write_text("5")
