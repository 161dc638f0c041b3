"""Selects the files that a load reads: those that are new or changed since the last one.

The latest modification time cannot be the cursor: files arrive late with old times (`rsync -t`),
and several can have the same time. Instead, the resource's dlt state, which is committed with the
rows, has a fingerprint of every file that was loaded and is still listed: eight bytes, derived from
its path, size and modification time.
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
    """A file in the listing.

    Attributes:
        name: Path relative to the folder or bucket, with forward slashes.
        path: Path with which the file system opens it.
        fingerprint: Digest that changes when the file changes.
    """

    name: str
    path: str
    fingerprint: bytes


def list_files(fs: AbstractFileSystem, bucket_url: str, file_glob: str) -> list[ListedFile]:
    """Return the files that a glob matches, sorted by name."""
    from dlt.common.storages.fsspec_filesystem import FileItemDict, glob_files

    listed = []
    for item in glob_files(fs, bucket_url, file_glob):
        details = f"{item['relative_path']}|{item.get('size_in_bytes')}|{item['modification_date']}"
        digest = hashlib.blake2b(details.encode(), digest_size=_FINGERPRINT_BYTES).digest()
        path = FileItemDict(item, fs).local_file_path if _is_local(fs) else item["file_url"]
        listed.append(ListedFile(item["relative_path"], path, digest))
    return sorted(listed, key=lambda file: file.name)


def _is_local(fs: AbstractFileSystem) -> bool:
    return "file" in fs.protocol


class LoadedFiles:
    """The fingerprints of the loaded files, in a resource's state.

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
        """Return the files that were not loaded yet, or have changed since."""
        files = list(files)
        self._listed = {file.fingerprint for file in files}
        return (file for file in files if file.fingerprint not in self._known)

    def finish(self, file: ListedFile) -> None:
        """Record a file as loaded."""
        self._finished.add(file.fingerprint)

    def remember(self) -> None:
        """Update the state: the files that are still listed and were loaded, before or now."""
        loaded = (self._known & self._listed) | self._finished
        if loaded != self._known:
            self._state[_STATE_KEY] = base64.b85encode(b"".join(sorted(loaded))).decode("ascii")
