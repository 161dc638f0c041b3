"""Makes a project: `python -m floe_ingestion_defs.scaffold.new_project NAME DIR`.

The project is a code location of its own that depends on the engine as a package, so that fixes
arrive by upgrading it. What is made loads as it stands, and has no source yet.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from floe_ingestion_defs.scaffold.files import require_name, write_new_files
from floe_ingestion_defs.scaffold.project_files import PROJECT_FILES


def make_project(name: str, root: Path) -> list[Path]:
    """Write the files of a new project.

    Args:
        name: Name of the package and of the code location: lower-case words joined by underscores.
        root: Folder to write them to; made where it is absent.

    Returns:
        The files that were made.

    Raises:
        ValueError: The name cannot be used, or would hide a package that the project needs.
        FileExistsError: One of the files is there already; nothing is overwritten.
    """
    require_name(name, "project")
    if name in ("dlt_sources", "floe_ingestion_defs", "tests"):
        msg = f"{name!r} is the name of something else in a project; 'acme_ingestion' is free"
        raise ValueError(msg)
    values = {
        "name": name,
        "distribution": name.replace("_", "-"),
        "title": name.replace("_", " ").capitalize(),
        "engine": compatible_versions(version("floe-ingestion-defs")),
    }
    return write_new_files(
        {
            root / path.format(**values): template.format(**values)
            for path, template in PROJECT_FILES.items()
        }
    )


def compatible_versions(current: str) -> str:
    """Return the versions that a project made today can take without being changed.

    Args:
        current: The engine's version; by semantic versioning, a 0.x may break with its minor.
    """
    major, minor = (int(part) for part in current.split(".")[:2])
    return f">={current},<{major + 1}" if major else f">={current},<0.{minor + 1}"


def main() -> int:
    """Make a project named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m floe_ingestion_defs.scaffold.new_project", description=__doc__
    )
    parser.add_argument("name", help="such as acme_ingestion; lower-case words, underscores")
    parser.add_argument("folder", type=Path, help="where to write it, such as ../acme-ingestion")
    options = parser.parse_args()
    try:
        made = make_project(options.name, options.folder)
    except (ValueError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in made:
        print(path)
    print(f"\nNext: {options.folder / 'README.md'} says how to install it and to add a source")
    return 0


if __name__ == "__main__":
    sys.exit(main())
