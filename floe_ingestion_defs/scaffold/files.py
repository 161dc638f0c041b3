"""What the commands that write files share: names that can be used, and no file overwritten."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def require_name(name: str, what: str) -> None:
    """Refuse a name that cannot be that of a package and a part of table names.

    Args:
        name: The name.
        what: What it is to name, for the error: `source` or `project`.

    Raises:
        ValueError: It is not lower-case words joined by single underscores; says one that is.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        suggestion = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "shop"
        msg = f"{name!r} is not a name for a {what}; {suggestion!r} is"
        raise ValueError(msg)


def write_new_files(files: Mapping[Path, str]) -> list[Path]:
    """Write files that are not there yet, all of them or none.

    Args:
        files: Their texts, by their paths.

    Raises:
        FileExistsError: One is there already; nothing was written.
    """
    for path in files:
        if path.exists():
            msg = f"{path} exists already"
            raise FileExistsError(msg)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)
