"""Ensures that a command runs only once at a time on one folder.

An advisory lock of the kernel, which ends with the processes that hold it, however they end: no
stale file has to be deleted, and no process id is compared.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO


class AlreadyRunningError(RuntimeError):
    """The command is already running on the same folder."""


@contextmanager
def only_once(command: str, folder: Path) -> Iterator[TextIO]:
    """Lock `{command}.lock` in a folder while the block runs.

    Args:
        command: The command, such as `dev`.
        folder: The folder that it works on; created if missing.

    Yields:
        The locked file. A child process that inherits it holds the lock, too. What is written to it
        is shown to the user who starts the command a second time.

    Raises:
        AlreadyRunningError: Another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{command}.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            note = file.read().strip()
            msg = f"`make {command}` is already running on {folder}" + (f": {note}" if note else "")
            raise AlreadyRunningError(msg) from None
        file.truncate(0)
        yield file
