"""Which files a load reads: those that are new or changed since the last one.

A largest modification time is no cursor for files: they arrive late with old times (`rsync -t`)
and times tie. What is kept instead, in the resource's dlt state and so committed with the rows,
is a fingerprint of every file that was loaded and is still listed: eight bytes made of its path,
size and modification time.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableMapping

    from fsspec import AbstractFileSystem

_STATE_KEY = "loaded_files"
_FINGERPRINT_BYTES = 8


@dataclass(frozen=True)
class ListedFile:
    """A file as the listing shows it.

    Args:
        name: Path below the folder or bucket, with forward slashes.
        path: Path as the file system opens it.
        fingerprint: Changes whenever the file does.
    """

    name: str
    path: str
    fingerprint: bytes


def list_files(fs: AbstractFileSystem, bucket_url: str, file_glob: str) -> list[ListedFile]:
    """List the files that a glob matches, by name."""
    from dlt.common.storages.fsspec_filesystem import FileItemDict, glob_files

    listed = []
    for item in glob_files(fs, bucket_url, file_glob):
        told = f"{item['relative_path']}|{item.get('size_in_bytes')}|{item['modification_date']}"
        digest = hashlib.blake2b(told.encode(), digest_size=_FINGERPRINT_BYTES).digest()
        path = FileItemDict(item, fs).local_file_path if _is_local(fs) else item["file_url"]
        listed.append(ListedFile(item["relative_path"], path, digest))
    return sorted(listed, key=lambda file: file.name)


def _is_local(fs: AbstractFileSystem) -> bool:
    return "file" in fs.protocol


class LoadedFiles:
    """The fingerprints of the files that were loaded, in a resource's state.

    Args:
        state: The resource's dlt state.
    """

    def __init__(self, state: MutableMapping[str, Any]) -> None:
        self._state = state
        packed = base64.b85decode(state.get(_STATE_KEY, ""))
        self._known = {
            packed[start : start + _FINGERPRINT_BYTES]
            for start in range(0, len(packed), _FINGERPRINT_BYTES)
        }
        self._finished: set[bytes] = set()
        self._listed: set[bytes] = set()

    def select_new(self, files: Iterable[ListedFile]) -> Iterator[ListedFile]:
        """Give the files that were not loaded as they are now."""
        files = list(files)
        self._listed = {file.fingerprint for file in files}
        return (file for file in files if file.fingerprint not in self._known)

    def finish(self, file: ListedFile) -> None:
        """Count a file as loaded."""
        self._finished.add(file.fingerprint)

    def remember(self) -> None:
        """Write the state: what is still listed and was loaded, before or now."""
        loaded = (self._known & self._listed) | self._finished
        if loaded != self._known:
            self._state[_STATE_KEY] = base64.b85encode(b"".join(sorted(loaded))).decode("ascii")
