"""Shared by the scaffold commands: validates names, and writes files without overwriting any."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def require_name(name: str, what: str) -> None:
    """Reject a name that cannot be used for a package and in table names.

    Args:
        name: The name.
        what: What it names, for the error: `source` or `project`.

    Raises:
        ValueError: It is not lower-case words joined by single underscores; suggests a valid name.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        suggestion = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "shop"
        msg = f"{name!r} is not a valid name for a {what}; use one such as {suggestion!r}"
        raise ValueError(msg)


def write_new_files(files: Mapping[Path, str]) -> list[Path]:
    """Write new files, all of them or none.

    Args:
        files: Their contents, by path.

    Raises:
        FileExistsError: One of the files already exists; nothing was written.
    """
    for path in files:
        if path.exists():
            msg = f"{path} already exists"
            raise FileExistsError(msg)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)
