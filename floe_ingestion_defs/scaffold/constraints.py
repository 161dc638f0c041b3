"""The versions of the packages that a new project begins with: those that are installed here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def pin_installed(requirements: Iterable[str], *, excluding: str) -> list[str]:
    """Return `name==version` of each installed package that requirements need, sorted by name.

    Args:
        requirements: Requirements such as `floe-ingestion-defs[postgres]`; what is not installed is
            left out.
        excluding: A package that is not pinned.
    """
    pinned: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    pending = [Requirement(requirement) for requirement in requirements]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if name != excluding:
            pinned[name] = found.version
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                pending.extend(_required(found.requires or (), extra))
    return [f"{name}=={version}" for name, version in sorted(pinned.items())]


def _required(requirements: Iterable[str], extra: str) -> Iterator[Requirement]:
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement
