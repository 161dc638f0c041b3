"""Listing the files below a location, which pyiceberg 0.12's FileIO cannot do."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.io.pyarrow import PyArrowFileIO

# The authority of a location on an object store is its bucket. That of others, such as HDFS, may be
# a host with or without a port, or the name of a cluster.
_BUCKET_SCHEMES = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "oss", "cos", "cosn", "obs", "tos"})
_CONTAINER_SCHEMES = frozenset({"abfs", "abfss", "wasb", "wasbs"})


@dataclass(frozen=True)
class StoredFile:
    """A file in storage.

    Attributes:
        path: The location, in the form used in Iceberg's metadata.
        bytes: The size.
        modified: When the file was written.
    """

    path: str
    bytes: int
    modified: datetime


def list_files(io: FileIO, location: str) -> Iterator[StoredFile]:
    """Yield all files below a location, by the table's own FileIO and so with its credentials."""
    from pyiceberg.io.pyarrow import PyArrowFileIO

    if isinstance(io, PyArrowFileIO):
        yield from _list_by_pyarrow(io, location)
    else:
        yield from _list_by_fsspec(io, location)


def _list_by_pyarrow(io: PyArrowFileIO, location: str) -> Iterator[StoredFile]:
    from pyarrow.fs import FileSelector, FileType

    scheme, netloc, folder = io.parse_location(location, io.properties)
    filesystem = io.fs_by_scheme(scheme, netloc)
    selector = FileSelector(folder, recursive=True, allow_not_found=True)
    for info in filesystem.get_file_info(selector):
        if info.type == FileType.File:
            yield StoredFile(_below(location, folder, info.path), info.size, info.mtime)


def _list_by_fsspec(io: FileIO, location: str) -> Iterator[StoredFile]:
    from pyiceberg.io.fsspec import FsspecFileIO

    if not isinstance(io, FsspecFileIO):
        msg = f"Files cannot be listed through a {type(io).__name__}"
        raise TypeError(msg)
    filesystem = io.get_fs(urlparse(location).scheme or "file")
    # fsspec's own name for the path in a listing; it has no public one.
    folder = filesystem._strip_protocol(location)  # noqa: SLF001
    # Listings are cached for all users of the file system in this process: an old one would lack
    # files, which fsspec would report from then on as not existing.
    filesystem.invalidate_cache()
    try:
        details: dict[str, dict[str, Any]] = filesystem.find(folder, detail=True)
    finally:
        filesystem.invalidate_cache()
    for path, info in details.items():
        modified = info.get("LastModified") or info.get("mtime") or info.get("last_modified")
        if not isinstance(modified, datetime):
            modified = datetime.fromtimestamp(float(modified or 0), UTC)
        yield StoredFile(_below(location, folder, path), info["size"], modified)


def _below(location: str, folder: str, path: str) -> str:
    """Return a path of the file system in the form of the location."""
    return location.rstrip("/") + path[len(folder.rstrip("/")) :]


def folder_key(location: str) -> str:
    """Return a key that all spellings of a location have in common.

    Two locations with an equal key may still be different, such as those of one path in two HDFS
    clusters: in doubt they count as the same.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        scheme, rest = "file", "/" + os.path.realpath(location.removeprefix("file:"))
    authority, _, path = rest.partition("/")
    if scheme == "file":
        path = os.path.realpath(f"/{path}")
    if scheme in _CONTAINER_SCHEMES:
        authority = authority.partition("@")[0]
    elif scheme not in _BUCKET_SCHEMES:
        authority = ""
    path = posixpath.normpath(f"/{unquote(path).strip('/')}")
    return (authority + path).rstrip("/").casefold()


def parent_folders(key: str) -> Iterator[str]:
    """Yield the keys of the folders that contain the file or folder of a key, the nearest first."""
    while key:
        yield key
        key = key.rpartition("/")[0]
