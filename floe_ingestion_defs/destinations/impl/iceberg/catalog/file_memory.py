"""Files of an object store that this process has written or read, kept for as long as it may help.

Metadata, manifests and data files are named with a new uuid and never written again, so what was
read once is read. A load reads most of what it writes: the manifest list that it extends, the
metadata that the next commit asserts, the footer of a staged file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, cast

import pyarrow as pa
from cachetools import LRUCache, TTLCache
from pyiceberg.io import InputFile, InputStream, OutputFile, OutputStream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# A larger file is read and written as a stream, and not remembered.
SMALL_BYTES = 2 * 1024 * 1024
_MOST_BYTES = 64 * 1024 * 1024
_MOST_SIZES = 4096
_SECONDS = 3600
# Metadata and manifests, nearly all of which are small.
_SMALL_FILES = (".json", ".avro")
_UNIQUE = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


def is_immutable(location: str) -> bool:
    """Return whether a file's name contains a uuid, so that the file is never written again."""
    return _UNIQUE.search(location.rpartition("/")[2]) is not None


class FileMemory:
    """The contents of small immutable files by their locations, bounded in bytes and in time."""

    def __init__(self, most_bytes: int = _MOST_BYTES, seconds: float = _SECONDS) -> None:
        self._lock = Lock()
        self._files: TTLCache[str, bytes] = TTLCache(most_bytes, seconds, getsizeof=len)
        self._sizes: LRUCache[str, int] = LRUCache(_MOST_SIZES)
        # By location, the lock of those who read a file, and how many they are.
        self._reading: dict[str, tuple[Lock, int]] = {}
        # The store does not have these yet, so that they must not be dropped for others.
        self._uploading: dict[str, bytes] = {}

    def get(self, location: str) -> bytes | None:
        """Return the content of a file, None if it is not remembered."""
        with self._lock:
            content = self._uploading.get(location)
            return self._files.get(location) if content is None else content

    @contextmanager
    def reading(self, location: str) -> Iterator[None]:
        """Let one thread read a file from the store, while others wait for what it remembers."""
        with self._lock:
            lock, readers = self._reading.get(location, (Lock(), 0))
            self._reading[location] = lock, readers + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, readers = self._reading.pop(location, (lock, 1))
                if readers > 1:
                    self._reading[location] = lock, readers - 1

    def expect(self, location: str, size: int) -> None:
        """Note the size of a file, as a manifest has it."""
        with self._lock:
            self._sizes[location] = size

    def size_of(self, location: str) -> int | None:
        """Return the size of a file in bytes, None if it is not known."""
        with self._lock:
            return self._sizes.get(location)

    def hold(self, location: str, content: bytes) -> None:
        """Remember a file until it is uploaded, when it is kept, or has failed to be."""
        with self._lock:
            self._uploading[location] = content

    def keep(self, location: str, content: bytes) -> None:
        """Remember a file that is small."""
        with self._lock:
            self._uploading.pop(location, None)
            if len(content) <= SMALL_BYTES:
                self._files[location] = content

    def forget(self, location: str) -> None:
        """Forget a file, such as one that is deleted."""
        with self._lock:
            self._uploading.pop(location, None)
            self._files.pop(location, None)

    def clear(self) -> None:
        """Forget all files; also in a child process, whose parent may have held the lock."""
        self._lock = Lock()
        self._files.clear()
        self._uploading.clear()
        self._sizes.clear()
        self._reading.clear()


FILE_MEMORY = FileMemory()
os.register_at_fork(after_in_child=FILE_MEMORY.clear)


# Returns the first bytes of the file at a location, at most so many.
ReadStart = Callable[[str, int], bytes]


class RememberedInput(InputFile):
    """A file that is read from the store once.

    Args:
        file: The file, which is immutable.
        memory: Where its content is kept.
        read_start: Reads the start of a file with one request, without one for its size; None
            where the store's client cannot.
    """

    def __init__(
        self, file: InputFile, memory: FileMemory, read_start: ReadStart | None = None
    ) -> None:
        super().__init__(file.location)
        self._file = file
        self._memory = memory
        self._read_start = read_start

    def __len__(self) -> int:
        """Return the size in bytes."""
        content = self._memory.get(self.location)
        return len(self._file) if content is None else len(content)

    def exists(self) -> bool:
        """Return whether the file exists in the store, whatever is remembered of it."""
        return self._file.exists()

    def open(self, seekable: bool = True) -> InputStream:
        """Open the file, or the content that is remembered.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if (content := self._memory.get(self.location)) is None:
            with self._memory.reading(self.location):
                if (content := self._memory.get(self.location)) is None:
                    return self._open_and_keep()
        return cast("InputStream", pa.BufferReader(content))

    def _open_and_keep(self) -> InputStream:
        if (content := self._read_small()) is None:
            stream = self._file.open()
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            if size > SMALL_BYTES:
                return stream
            with stream:
                content = stream.read()
        self._memory.keep(self.location, content)
        return cast("InputStream", pa.BufferReader(content))

    def _read_small(self) -> bytes | None:
        """Return the whole file if it is small, None if it is not, or may not be, or on an error.

        The store returns less than it is asked for where the file is shorter.
        """
        size = self._memory.size_of(self.location)
        is_likely = self.location.endswith(_SMALL_FILES) if size is None else size <= SMALL_BYTES
        if self._read_start is None or not is_likely:
            return None
        try:
            content = self._read_start(self.location, SMALL_BYTES + 1)
        except OSError:  # Such as for an empty file. Opening it reports what is wrong.
            return None
        is_whole = len(content) <= SMALL_BYTES if size is None else len(content) == size
        return content if is_whole else None


Submit = Callable[[Callable[[], None]], None]


def _at_once(upload: Callable[[], None]) -> None:
    upload()


class RememberedOutput(OutputFile):
    """A file that is written once, in one request if it is small, and need not be read.

    Args:
        file: The file, whose name no other file has.
        memory: Where its content is kept.
        submit: Runs the upload of a small file, by default at once.
    """

    def __init__(self, file: OutputFile, memory: FileMemory, submit: Submit = _at_once) -> None:
        super().__init__(file.location)
        self._file = file
        self._memory = memory
        self._submit = submit

    def uploaded_by(self, submit: Submit) -> RememberedOutput:
        """Return the same file, whose upload is passed to a function if it is small."""
        return RememberedOutput(self._file, self._memory, submit)

    def __len__(self) -> int:
        """Return the size in bytes."""
        return len(self.to_input_file())

    def exists(self) -> bool:
        """Return whether the file exists in the store."""
        return self._file.exists()

    def to_input_file(self) -> InputFile:
        """Return the file to be read."""
        return RememberedInput(self._file.to_input_file(), self._memory)

    def create(self, overwrite: bool = False) -> OutputStream:
        """Return a stream to write the file, without a check whether it exists."""
        return _Writing(self._file, self._memory, self._submit)


class _Writing(OutputStream):
    """Collects what is written until it is no longer small; an interrupted file is not created."""

    def __init__(self, file: OutputFile, memory: FileMemory, submit: Submit) -> None:
        self._file = file
        self._memory = memory
        self._submit = submit
        self._content = bytearray()
        self._sink: OutputStream | None = None
        self._size = 0
        self.closed = False

    def write(self, b: bytes) -> int:
        size = memoryview(b).nbytes
        self._size += size
        if self._sink is not None:
            self._sink.write(b)
            return size
        self._content += b
        if self._size > SMALL_BYTES:
            self._sink = self._file.create(overwrite=True)
            self._sink.write(bytes(self._content))
            self._content.clear()
        return size

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Do nothing: the file is visible once it is closed."""

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._memory.forget(self._file.location)
        if self._sink is not None:
            self._sink.close()
            return
        content = bytes(self._content)
        self._memory.hold(self._file.location, content)
        self._submit(partial(self._upload, content))

    def _upload(self, content: bytes) -> None:
        try:
            with self._file.create(overwrite=True) as sink:
                sink.write(content)
        except BaseException:
            self._memory.forget(self._file.location)
            raise
        self._memory.keep(self._file.location, content)

    def __enter__(self) -> OutputStream:
        return self

    def __exit__(
        self,
        exctype: type[BaseException] | None,
        excinst: BaseException | None,
        exctb: TracebackType | None,
    ) -> None:
        if exctype is None or self._sink is not None:
            self.close()
        self.closed = True
