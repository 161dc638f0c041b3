"""What the attempts at one commit have done, so that each costs in proportion to what changed.

Data files never change: what was computed from one is valid on every head that has it. Otherwise a
merge that takes longer than another writer's pause between two commits would never succeed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


@dataclass(frozen=True)
class AttemptResults:
    """Results of the attempts to publish one load to one table.

    Attributes:
        since: When the first of them began; files that it wrote are swept by their age.
    """

    since: Since = field(default_factory=Since)
    _results: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return a result, computed by the first attempt that needs it.

        Args:
            key: All that the result depends on.
            compute: Computes it.
        """
        if key not in self._results:
            self._results[key] = compute()
        return cast("T", self._results[key])

    def __contains__(self, key: Hashable) -> bool:
        return key in self._results

    def keep(self, key: Hashable, result: object) -> None:
        """Keep a result that was computed elsewhere, for `once`."""
        self._results[key] = result
