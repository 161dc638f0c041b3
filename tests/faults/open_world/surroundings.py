"""What surrounds a load in the model: its clock, its rights, and the point at which it dies.

`install` patches this process for good, so the model runs in a child process of its own.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ForbiddenError
from pyiceberg.table import update as table_update

from faults import boundaries
from floe_ingestion_defs.destinations.impl.iceberg import recover
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction
from floe_ingestion_defs.destinations.impl.iceberg.log import format as log_format
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans

if TYPE_CHECKING:
    from collections.abc import Iterator


class Died(BaseException):
    """The simulated death of a process; every boundary after it raises this again."""


@dataclass
class Surroundings:
    """What the loads of this process meet.

    Attributes:
        clock: The seconds by which the clock is ahead.
        forbidden: The tables that this project may not write.
        die_at: The boundary that kills the load under way, None for no death.
        inside: Whether a load of this project is under way; other writers meet none of this.
        died: Whether the load under way has died.
    """

    clock: float = 0.0
    forbidden: set[str] = field(default_factory=set)
    die_at: int | None = None
    inside: bool = False
    died: bool = False
    reached: int = 0

    @contextmanager
    def load(self, die_at: int | None = None) -> Iterator[None]:
        """Run a load of this project in these surroundings."""
        self.inside, self.die_at, self.reached, self.died = True, die_at, 0, False
        try:
            yield
        finally:
            self.inside = False

    def reach(self, number: int, name: str) -> None:
        """Die here, if this is the boundary or the process is dead already."""
        if not self.inside:
            return
        if self.died or self.reached == self.die_at:
            self.died = True
            raise Died(name)
        self.reached += 1

    def require_right(self, table: str) -> None:
        """Raise the error of a catalog that denies a commit."""
        if self.inside and table in self.forbidden:
            msg = f"not authorized to write {table}"
            raise ForbiddenError(msg)


def install() -> Surroundings:
    """Patch this process so that its loads meet the surroundings that are returned."""
    surroundings = Surroundings()
    boundaries.watch(surroundings.reach)
    _deny(surroundings)
    _shift_clocks(surroundings)
    return surroundings


def _deny(surroundings: Surroundings) -> None:
    original = SqlCatalog.commit_table

    def checked(self: Any, table: Any, *arguments: Any) -> Any:
        surroundings.require_right(table.name()[-1])
        return original(self, table, *arguments)

    setattr(SqlCatalog, "commit_table", checked)  # noqa: B010


def _shift_clocks(surroundings: Surroundings) -> None:
    seconds = time.time

    class ShiftedDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=surroundings.clock)

    sleep = time.sleep
    # Nothing here gets better by waiting.
    setattr(time, "sleep", lambda wanted: sleep(min(wanted, 0.01)))  # noqa: B010
    setattr(time, "time", lambda: seconds() + surroundings.clock)  # noqa: B010
    for module in (recover, compaction, log_format, orphans, table_update):
        setattr(module, "datetime", ShiftedDatetime)  # noqa: B010
