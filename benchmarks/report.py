"""A row of the table: the measurements and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.measure import Measurement

MB = 1024 * 1024
FLOE = "this project"
STOCK = "stock dlt"


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        wanted: Description of the target.
        found: Description of the measured value; None if this run did not measure it.
        reached: Whether the target is reached; None if this run did not measure it.
    """

    wanted: str
    found: str | None
    reached: bool | None


@dataclass(frozen=True)
class Row:
    """One operation, measured for one side or for several.

    Attributes:
        work: Description of the operation.
        measured: Measurements by the name of the side: `FLOE`, `STOCK` or another one.
        targets: Targets of the operation.
        note: What a reader must know about the figures.
    """

    work: str
    measured: Mapping[str, Measurement]
    targets: Sequence[Target]
    note: str = ""


def at_least(times: float, floe: float, stock: float | None) -> Target:
    """Return the target that this project is a number of times faster than the other side."""
    wanted = f"≥ {times:g}x faster"
    if stock is None:
        return Target(wanted, None, None)
    return Target(wanted, f"{stock / floe:.1f}x faster", stock >= times * floe)


def at_most(
    limit: float, value: float, what: str, show: Callable[[float], str] = lambda v: f"{v:.2f}"
) -> Target:
    """Return the target that a value does not exceed a limit."""
    return Target(f"{what} ≤ {show(limit)}", show(value), value <= limit)


def exactly(wanted: int, found: int | float | None, what: str) -> Target:
    """Return the target that a count has an exact value."""
    return Target(f"{what}: {wanted}", str(int(found or 0)), found == wanted)


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def megabytes(value: float) -> str:
    return f"{value / MB:.0f} MB"


def ratio(value: float) -> str:
    return f"{value:.2f}x"
