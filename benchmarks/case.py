"""A benchmark case, and how the cases are found.

To add one, write a module in `benchmarks/cases` with a list `CASES`; nothing else has to know it.
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

# The parts of the table in `docs/benchmarks.md`, in their order.
Section = Literal["The destination", "Sources", "Dagster"]
SECTIONS: tuple[Section, ...] = get_args(Section)


@dataclass(frozen=True)
class Case:
    """One piece of work that is measured, and can be asked for by its name.

    Attributes:
        name: Lower case with hyphens; also the name of the file that keeps its results.
        measure: Measures it and says what was to be reached, in one row or several.
        section: The part of the table that the rows stand in.
    """

    name: str
    measure: Callable[[Bench], Sequence[Row]]
    section: Section = "The destination"


def find_cases() -> dict[str, Case]:
    """All cases by name: by section, then by module, then as each module lists them.

    Raises:
        ValueError: Two cases have one name.
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
