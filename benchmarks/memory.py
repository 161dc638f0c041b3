"""The peak memory of this process, as the operating system measures it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """Return the peak resident memory since the process started, or `forget_peak` was called."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """Return the memory that is currently resident."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def forget_peak() -> None:
    """Reset the peak on Linux; on other systems it is that since the start of the process."""
    counter = Path("/proc/self/clear_refs")
    if counter.exists():
        counter.write_text("5")
