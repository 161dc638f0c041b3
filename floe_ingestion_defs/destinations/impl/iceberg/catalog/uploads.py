"""Uploading the small files of one commit at the same time.

A commit writes a manifest and a manifest list, one to the log its row as well. Each is a request to
the store, and none has to wait for the others: only the catalog's commit, which refers to them, has
to wait for all.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyiceberg.io import FileIO

from floe_ingestion_defs.destinations.impl.iceberg.catalog.file_memory import RememberedOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from pyiceberg.io import InputFile, OutputFile

UPLOADS_AT_ONCE = 4


@contextmanager
def uploading_together(io: FileIO) -> Iterator[FileIO]:
    """Yield a FileIO whose small files are uploaded at the same time; all exist after the block.

    Only the files of a FileIO that remembers what it has written: they can be read in the block as
    if they existed. Within another such block, that block waits.

    Args:
        io: The FileIO of a table.

    Raises:
        OSError: An upload failed.
    """
    if isinstance(io, _UploadingFileIO):
        yield io
        return
    with ThreadPoolExecutor(UPLOADS_AT_ONCE, "uploads") as threads:
        together = _UploadingFileIO(io, threads)
        yield together
        together.wait()


class _UploadingFileIO(FileIO):
    def __init__(self, io: FileIO, threads: ThreadPoolExecutor) -> None:
        super().__init__(io.properties)
        self._io = io
        self._threads = threads
        self._uploads: list[Future[None]] = []

    def new_input(self, location: str) -> InputFile:
        return self._io.new_input(location)

    # pyiceberg's FileIOs return files of their own types.
    def new_output(self, location: str) -> Any:
        file = self._io.new_output(location)
        return file.uploaded_by(self._submit) if isinstance(file, RememberedOutput) else file

    def delete(self, location: str | InputFile | OutputFile) -> None:
        self._io.delete(location)

    def _submit(self, upload: Callable[[], None]) -> None:
        self._uploads.append(self._threads.submit(upload))

    def wait(self) -> None:
        for upload in self._uploads:
            upload.result()
