"""A FileIO that holds the first process which creates a certain file, until it is killed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pyiceberg.io.pyarrow import PyArrowFileIO

if TYPE_CHECKING:
    from pyiceberg.io.pyarrow import PyArrowFile

HELD = "test.held-file"
"""A part of the name of the file."""
HOLDER = "test.holder"
"""The path of a file to which the held process writes its id; it is held only once."""


class HeldFileIO(PyArrowFileIO):
    """Holds the first process that creates a file whose name contains `test.held-file`."""

    def new_output(self, location: str) -> PyArrowFile:
        if self.properties[HELD] in location.rpartition("/")[2]:
            self._hold_once()
        return super().new_output(location)

    def _hold_once(self) -> None:
        holder = Path(self.properties[HOLDER])
        try:
            with holder.open("x") as stream:
                stream.write(str(os.getpid()))
        except FileExistsError:
            return
        time.sleep(120)
