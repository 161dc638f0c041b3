"""Durations and sizes in units that people read."""

from datetime import timedelta

_DURATIONS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))
_SIZES = ("kB", "MB", "GB", "TB", "PB")


def format_age(age: timedelta) -> str:
    """Return a duration in the largest unit of which it has at least two: `4,714 days`."""
    seconds = max(round(age.total_seconds()), 0)
    for unit, size in _DURATIONS:
        if seconds >= 2 * size:
            return f"{seconds // size:,} {unit}"
    return f"{seconds} seconds"


def format_limit(limit: timedelta) -> str:
    """Return a configured duration exactly, in the largest unit that divides it: `50 hours`."""
    minutes = round(limit.total_seconds() / 60)
    units = (("day", 1_440), ("hour", 60), ("minute", 1))
    unit, size = next((unit, size) for unit, size in units if minutes % size == 0)
    number = minutes // size
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def format_size(size: int) -> str:
    """Return a number of bytes in decimal units: `12.3 MB`."""
    if size < 1_000:
        return f"{size} bytes"
    # 999.95 and more would be rounded to 1,000.0 of the same unit.
    power = next((n for n in range(1, len(_SIZES)) if size < 999.95 * 1_000**n), len(_SIZES))
    return f"{size / 1_000**power:,.1f} {_SIZES[power - 1]}"


def as_sentence(message: str) -> str:
    """Return a message with a capital first, unless it begins with a name, as of a file."""
    first = message.partition(" ")[0]
    return f"{message[:1].upper()}{message[1:]}" if first.isalpha() else message
