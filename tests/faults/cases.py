"""Cases: a catalog of its own for each, in which the load before has been run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from servers.stack import Stack, movable_sqlite_stack

from faults import loads
from faults.processes import Child, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMESPACE = "lake"


@dataclass(frozen=True)
class Case:
    """A catalog, and the working directory of the process that loads into it."""

    stack: Stack

    @property
    def namespace(self) -> str:
        """dlt's dataset name."""
        return self.stack.namespace

    @property
    def work(self) -> Path:
        """dlt's working directory."""
        return self.stack.folder / "work"

    def start(self, function: Callable[..., Any], *arguments: Any) -> Child:
        """Runs a function in a child process that is configured for the catalog."""
        return start(
            function, *arguments, environment=self.stack.environment, folder=self.stack.folder
        )


@dataclass(frozen=True)
class Ground:
    """What every case of a kind of load starts with: the load before it.

    Attributes:
        kind: The kind of load.
        folder: Where the cases are.
        new_stack: Makes the stack of a case in its folder; None for SQLite catalogs that are
            copied with the load before in them.
    """

    kind: str
    folder: Path
    new_stack: Callable[[Path], Stack] | None = None

    def lay(self) -> None:
        """Runs the load before, once for all cases where the catalog can be copied."""
        if self.new_stack is None:
            self._load_before(Case(movable_sqlite_stack(self.folder / "ground", NAMESPACE)))

    def new_case(self, name: str) -> Case:
        """A catalog of the test's own that holds the load before."""
        folder = self.folder / name
        if self.new_stack is None:
            shutil.copytree(self.folder / "ground", folder)
            return Case(movable_sqlite_stack(folder, NAMESPACE))
        folder.mkdir()
        return self._load_before(Case(self.new_stack(folder)))

    def _load_before(self, case: Case) -> Case:
        case.start(loads.run_before, self.kind, case.namespace, case.work).result()
        return case
