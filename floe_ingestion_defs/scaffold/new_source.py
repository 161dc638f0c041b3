"""Creates a source: `python -m floe_ingestion_defs.scaffold.new_source NAME` in a project's folder.

The new source can be tested and loaded without changes. It has its code, README, test, and the YAML
that declares it to the code location.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from floe_ingestion_defs.scaffold.files import require_name, write_new_files

_SOURCE = '''"""A dlt source for {title}: let `items` yield the rows of your system.

dlt's documentation describes resources: https://dlthub.com/docs/general-usage/resource
"""

from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources import DltResource

from dlt_sources.{name}.settings import FIRST_ID


@dlt.source
def source(last_id: int = 3) -> DltResource:
    """Return the resources to load from {title}.

    Args:
        last_id: Example of a parameter of your system, which `arguments` in `defs.yaml` sets.
    """

    @dlt.resource(primary_key="id", write_disposition="merge")
    def items(
        cursor: dlt.sources.incremental[int] = dlt.sources.incremental(  # noqa: B008
            "id", initial_value=FIRST_ID
        ),
    ) -> Iterator[dict[str, Any]]:
        """Items with an id greater than the last one loaded."""
        for number in range(cursor.last_value, last_id + 1):
            yield {{"id": number, "name": f"item {{number}}"}}

    return items
'''
_SETTINGS = '''"""Constants of the source {title}."""

FIRST_ID = 1
'''
_README = """# {title}

| resource | table | load |
|---|---|---|
| `items` | `bronze.{name}_items` | merge on `id`; only ids greater than the last one loaded |

The source is declared in `{package}/defs/{name}/defs.yaml` and tested in `tests/sources/{name}/`.
"""
_TEST = '''"""Loads the source `{name}` into a temporary Iceberg catalog."""

SOURCE = {{
    "source_type": "python",
    "source_config": {{"factory": "dlt_sources.{name}:source", "resource_names": ["items"]}},
}}


def test_items_are_loaded_once(run_source):
    assert run_source(SOURCE).tables["items"].num_rows == 3
    assert run_source(SOURCE).result.rows_loaded == 0
'''
_DEFS = """type: floe_ingestion_defs.components.IngestionComponent

attributes:
  sources:
    - name: {name}
      description: Items of {title}.
      source_type: python
      source_config:
        factory: dlt_sources.{name}:source
        resource_names: [items]
        arguments: {{last_id: 3}}
      destination_table: bronze.{name}_{{resource}}
      orchestration:
        maintenance: {{schedule: 0 3 * * *}}
"""


def make_source(name: str, root: Path) -> list[Path]:
    """Write the files of a new source.

    Args:
        name: Name of the source: lower-case words joined by single underscores.
        root: Folder of the project; its `pyproject.toml` names the package that contains `defs/`.

    Returns:
        The files that were created.

    Raises:
        ValueError: The name is not valid, or the folder is not that of a project.
        FileExistsError: The source already exists; nothing is overwritten.
    """
    require_name(name, "source")
    package = find_package(root)
    files = {
        f"dlt_sources/{name}/__init__.py": _SOURCE,
        f"dlt_sources/{name}/settings.py": _SETTINGS,
        f"dlt_sources/{name}/README.md": _README,
        f"tests/sources/{name}/test_{name}.py": _TEST,
        f"{package}/defs/{name}/defs.yaml": _DEFS,
    }
    title = name.replace("_", " ")
    return write_new_files(
        {
            root / path: template.format(name=name, title=title, package=package)
            for path, template in files.items()
        }
    )


def find_package(root: Path) -> str:
    """Return the package of a project that contains `definitions.py` and `defs/`.

    Args:
        root: Folder of the project.

    Raises:
        ValueError: It has no `pyproject.toml` that names the package.
    """
    path = root / "pyproject.toml"
    try:
        package = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["dg"]["project"]
        return str(package["root_module"])
    except (FileNotFoundError, KeyError) as error:
        msg = (
            f"{path} does not define root_module in [tool.dg.project]; run this command in the "
            "folder of a project"
        )
        raise ValueError(msg) from error


def main() -> int:
    """Create the source that is named on the command line, in the working directory."""
    parser = argparse.ArgumentParser(
        prog="python -m floe_ingestion_defs.scaffold.new_source", description=__doc__
    )
    parser.add_argument("name", help="lower-case words joined by underscores, such as shop")
    name = parser.parse_args().name
    try:
        made = make_source(name, Path.cwd())
    except (ValueError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in made:
        print(path.relative_to(Path.cwd()))
    print(f"\nNext: python -m pytest tests/sources/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
