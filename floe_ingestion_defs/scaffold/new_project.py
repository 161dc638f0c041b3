"""Creates a project: `python -m floe_ingestion_defs.scaffold.new_project NAME DIR`.

The project is a separate code location that depends on the engine as a package, so fixes arrive by
upgrading the package. The new code location loads without changes, and has no source yet.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from floe_ingestion_defs.scaffold.constraints import pin_installed
from floe_ingestion_defs.scaffold.files import require_name, write_new_files
from floe_ingestion_defs.scaffold.project_files import EXTRAS, PROJECT_FILES

_ENGINE = "floe-ingestion-defs"


def make_project(name: str, root: Path) -> list[Path]:
    """Write the files of a new project.

    Args:
        name: Name of the package and of the code location: lower-case words joined by underscores.
        root: Folder to write them to; created if it does not exist.

    Returns:
        The files that were created.

    Raises:
        ValueError: The name is not valid, or would shadow a package that the project requires.
        FileExistsError: One of the files already exists; nothing is overwritten.
    """
    require_name(name, "project")
    if name in ("dlt_sources", "floe_ingestion_defs", "tests"):
        msg = f"{name!r} is reserved for another package; use a name such as 'acme_ingestion'"
        raise ValueError(msg)
    engine = compatible_versions(version(_ENGINE))
    values = {
        "name": name,
        "distribution": name.replace("_", "-"),
        "title": name.replace("_", " ").capitalize(),
        "engine": engine,
        "extras": "\n".join(
            f'# {purpose}\n{extra} = ["{_ENGINE}[{extra}]{engine}"]'
            for extra, purpose in EXTRAS.items()
        ),
        "constraints": "\n".join(
            pin_installed(
                [f"{_ENGINE}[{','.join(EXTRAS)}]", "dagster-dg-cli", "pytest"], excluding=_ENGINE
            )
        ),
    }
    return write_new_files(
        {
            root / path.format(**values): template.format(**values)
            for path, template in PROJECT_FILES.items()
        }
    )


def compatible_versions(current: str) -> str:
    """Return the versions of the engine that a new project works with unchanged.

    Args:
        current: The engine's version; in semantic versioning, a minor release of 0.x may break.
    """
    major, minor = (int(part) for part in current.split(".")[:2])
    return f">={current},<{major + 1}" if major else f">={current},<0.{minor + 1}"


def main() -> int:
    """Create the project that is named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m floe_ingestion_defs.scaffold.new_project", description=__doc__
    )
    parser.add_argument(
        "name", help="lower-case words joined by underscores, such as acme_ingestion"
    )
    parser.add_argument("folder", type=Path, help="folder to create, such as ../acme-ingestion")
    options = parser.parse_args()
    try:
        made = make_project(options.name, options.folder)
    except (ValueError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in made:
        print(path)
    print(f"\nNext: install it and add a source, as described in {options.folder / 'README.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
