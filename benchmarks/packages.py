"""Packages in versions that the environment does not have, each kind in a folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path


def installed(name: str, *requirements: str) -> list[Path]:
    """Return the folders of packages, which are downloaded once; see `servers.engines`."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from servers.engines import python_packages

    return [python_packages(name, *requirements)]
