"""Worker processes of which one offers itself to be killed, at each of some boundaries.

A code location calls `offer_victims` when it is loaded, so that every run worker does.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from faults import boundaries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECONDS_TO_LIVE = 300.0


def offer_victims(names: Sequence[str], folder: Path) -> None:
    """Hold the first process that reaches one of the boundaries, until it is killed.

    Args:
        names: The boundaries.
        folder: Where the process leaves its id, in a file that is named by the boundary's number;
            and where each process that loads leaves a file `worker-{id}`.
    """

    def hook(number: int, reached: str) -> None:
        (folder / f"worker-{os.getpid()}").touch()
        if reached in names and _claims(folder / f"victim-{names.index(reached)}"):
            time.sleep(SECONDS_TO_LIVE)

    boundaries.watch(hook)


def _claims(file: Path) -> bool:
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text(str(os.getpid()))
    try:
        # A link, unlike a rename, fails where the name is taken; a reader reads the whole file.
        file.hardlink_to(unfinished)
    except FileExistsError:
        return False
    return True
