"""FileIOs for S3 that send few requests: pyiceberg's two, with a memory of immutable files.

pyiceberg 0.12 requests the metadata and a listing before it creates a file, and PyArrow starts a
multipart upload even for a small file: five requests for each manifest, where one is sufficient.
Then it requests the metadata and the content of what it has just written.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from cachetools import LRUCache
from pyiceberg.io import (
    ARROW_FILE_IO,
    FSSPEC_FILE_IO,
    PY_IO_IMPL,
    S3_RETRY_STRATEGY_IMPL,
    WAREHOUSE,
    FileIO,
)
from pyiceberg.io.pyarrow import PyArrowFileIO

from floe_ingestion_defs.destinations.impl.iceberg.catalog.file_memory import (
    FILE_MEMORY,
    ReadStart,
    RememberedInput,
    RememberedOutput,
    is_immutable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow.fs import FileSystem
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import InputFile, OutputFile

_CLIENT_PREFIXES = ("s3.", "client.")
_SCHEMES = ("s3://", "s3a://", "s3n://")


class RemembersFiles(FileIO):
    """Remembers immutable files; a base class to be listed before one of pyiceberg's FileIOs.

    Those return files of their own types, which is why no type is declared here. To mypy, `super()`
    is the abstract FileIO; at run time, it is the FileIO that is listed next.

    Attributes:
        read_start: What reads the start of a file with one request. PyArrow 26 can only open a file
            after a request for its size: what would take the known size has no Python name.
    """

    read_start: ReadStart | None = None

    def new_input(self, location: str) -> Any:
        """Return a file to read; if its name has a uuid, it is read from the store once."""
        file = cast("FileIO", super()).new_input(location)
        if not is_immutable(location):
            return file
        return RememberedInput(file, FILE_MEMORY, self.read_start)

    def new_output(self, location: str) -> Any:
        """Return a file to write; if its name has a uuid, it need not be read again."""
        file = cast("FileIO", super()).new_output(location)
        return RememberedOutput(file, FILE_MEMORY) if is_immutable(location) else file

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete a file."""
        FILE_MEMORY.forget(location if isinstance(location, str) else location.location)
        cast("FileIO", super()).delete(location)


# A new client of Arrow's has connections of its own, and waits until all requests of the others are
# answered, so that the tables of one process share clients.
_filesystems: LRUCache[str, FileSystem] = LRUCache(64)
_lock = Lock()


def _renew_lock() -> None:
    global _lock
    _lock = Lock()


os.register_at_fork(after_in_child=_renew_lock)


class S3FileIO(RemembersFiles, PyArrowFileIO):
    """PyArrow's FileIO, which uploads a small file in one request."""

    def _initialize_s3_fs(self, netloc: str | None) -> FileSystem:
        if S3_RETRY_STRATEGY_IMPL in self.properties:  # A copy would lack the strategy.
            return super()._initialize_s3_fs(netloc)
        key = self._filesystem_key(netloc)
        with _lock:
            if key not in _filesystems:
                rebuild, (options,) = super()._initialize_s3_fs(netloc).__reduce__()
                # A multipart upload begins when more than a part is written.
                _filesystems[key] = rebuild({**options, "allow_delayed_open": True})
            return _filesystems[key]

    def _filesystem_key(self, netloc: str | None) -> str:
        """Return a hash, because properties contain secrets, of all that a client depends on.

        The client of another process, from which this one was forked, is not used.
        """
        properties = {k: v for k, v in self.properties.items() if k.startswith(_CLIENT_PREFIXES)}
        environment = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
        depends_on = [os.getpid(), netloc, properties, environment]
        return sha256(json.dumps(depends_on, sort_keys=True, default=repr).encode()).hexdigest()


# pyiceberg's own FileIOs, and the subclass of each that is used in its place.
_IN_PLACE_OF = {
    ARROW_FILE_IO: f"{__name__}.{S3FileIO.__qualname__}",
    FSSPEC_FILE_IO: f"{__name__.rpartition('.')[0]}.fsspec_file_io.RememberingFsspecFileIO",
}


def with_few_requests(properties: Mapping[str, str], location: str) -> dict[str, str]:
    """Return the properties of a FileIO for a location, which sends few requests if it is on S3.

    Another implementation than pyiceberg's own two is kept.
    """
    configured = properties.get(PY_IO_IMPL, ARROW_FILE_IO)
    if not location.startswith(_SCHEMES):
        return dict(properties)
    return {**properties, PY_IO_IMPL: _IN_PLACE_OF.get(configured, configured)}


def send_few_requests(catalog: Catalog) -> Catalog:
    """Return the catalog, whose tables on S3 are read and written with few requests from now on."""
    location = str(catalog.properties.get(WAREHOUSE, ""))
    catalog.properties.update(with_few_requests(catalog.properties, location))
    return catalog
