"""A benchmark case, and how the cases are found.

To add one, write a module in `benchmarks/cases` with a list `CASES`; nothing else has to change.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.report import Row
    from benchmarks.runner import Bench

# The parts of the table in `docs/destination/benchmarks.md`, in their order.
Section = Literal["The destination", "Sources", "Dagster"]
SECTIONS: tuple[Section, ...] = get_args(Section)


@dataclass(frozen=True)
class Case:
    """One operation that is measured, and can be selected by its name.

    Attributes:
        name: Lower case with hyphens; also the name of the file with its results.
        measure: Measures it, and returns one or several rows with their targets.
        section: The part of the table that contains the rows.
    """

    name: str
    measure: Callable[[Bench], Sequence[Row]]
    section: Section = "The destination"


def find_cases() -> dict[str, Case]:
    """Return all cases by name, sorted by section, by module, and as each module lists them.

    Raises:
        ValueError: Two cases have the same name.
    """
    from benchmarks import cases

    names = sorted(module.name for module in pkgutil.iter_modules(cases.__path__))
    found: list[Case] = []
    for name in names:
        found += importlib.import_module(f"{cases.__name__}.{name}").CASES
    by_name: dict[str, Case] = {}
    for case in sorted(found, key=lambda case: SECTIONS.index(case.section)):
        if case.name in by_name:
            msg = f"two benchmark cases are named {case.name}"
            raise ValueError(msg)
        by_name[case.name] = case
    return by_name
