"""What was measured, beside what is to be reached: a row of the table."""

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
    """One thing to reach.

    Attributes:
        wanted: The target in words.
        found: What was measured, in words; None where this run did not measure it.
        reached: Whether it is reached.
    """

    wanted: str
    found: str | None
    reached: bool | None


@dataclass(frozen=True)
class Row:
    """One piece of work, by one side or by several.

    Attributes:
        work: What was done, in words.
        measured: By the name of the side, `FLOE`, `STOCK` or what else it is compared with.
        targets: What is to be reached.
        note: What a reader has to know about the figures.
    """

    work: str
    measured: Mapping[str, Measurement]
    targets: Sequence[Target]
    note: str = ""


def at_least(times: float, floe: float, stock: float | None) -> Target:
    """This project has to be so many times faster than the other side."""
    wanted = f"≥ {times:g}x faster"
    if stock is None:
        return Target(wanted, None, None)
    return Target(wanted, f"{stock / floe:.1f}x faster", stock >= times * floe)


def at_most(
    limit: float, value: float, what: str, show: Callable[[float], str] = lambda v: f"{v:.2f}"
) -> Target:
    """A value has to stay within a limit."""
    return Target(f"{what} ≤ {show(limit)}", show(value), value <= limit)


def exactly(wanted: int, found: int | float | None, what: str) -> Target:
    """A count has to be just that."""
    return Target(f"{what}: {wanted}", str(int(found or 0)), found == wanted)


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def megabytes(value: float) -> str:
    return f"{value / MB:.0f} MB"


def ratio(value: float) -> str:
    return f"{value:.2f}x"
