"""Uploading a local Parquet file to the location of a table's data files."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.io import FileIO

    from floe_ingestion_defs.destinations.impl.iceberg.files.field_ids import Footer

_COPY_BYTES = 8 * 1024 * 1024


def upload(io: FileIO, local: Path, path: str, footer: Footer | None = None) -> int:
    """Put a local Parquet file at `path`.

    Without another footer, on the same file system, the upload is a link: the local name is
    unlinked later, and nothing writes to the file again.

    Args:
        io: The table's FileIO.
        local: The file.
        path: The location of the data file.
        footer: The end of the data file, in place of the file's own footer.

    Returns:
        The size of the data file in bytes.
    """
    size = local.stat().st_size
    pages, tail = (footer.start, footer.content) if footer else (size, b"")
    target = _local_path(path)
    if target is None:
        with local.open("rb") as source, io.new_output(path).create(overwrite=True) as sink:
            for chunk in _chunks(source, pages):
                sink.write(chunk)
            sink.write(tail)
        return pages + len(tail)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # The target may be a link to a file that is in use.
    if footer is None:
        _link(local, target)
    else:
        with local.open("rb") as source, target.open("wb") as sink:
            _copy(source, sink, pages)
            sink.write(tail)
    return pages + len(tail)


def _link(local: Path, target: Path) -> None:
    try:
        os.link(local, target)
    except OSError:
        shutil.copyfile(local, target)
    else:
        # A package may have waited for days, and an orphan sweep decides by a file's age.
        os.utime(target)


def _copy(source: BinaryIO, sink: BinaryIO, count: int) -> None:
    """Copy the first bytes of a file, in the kernel and as shared blocks where it supports that.

    This takes no memory of the process.
    """
    done = 0
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # Two file systems, or one without support: Python copies the rest.
            while done < count and (
                copied := os.copy_file_range(
                    source.fileno(), sink.fileno(), count - done, done, done
                )
            ):
                done += copied
    source.seek(done)
    sink.seek(done)
    for chunk in _chunks(source, count - done):
        sink.write(chunk)


def _chunks(source: BinaryIO, count: int) -> Iterator[bytes]:
    while count and (chunk := source.read(min(count, _COPY_BYTES))):
        yield chunk
        count -= len(chunk)


def _local_path(path: str) -> Path | None:
    # The path of a URI is taken literally, as pyiceberg's FileIOs do: `%20` stays.
    url = urlparse(path)
    if url.scheme == "file":
        return Path(url.path)
    return None if url.scheme else Path(path)
