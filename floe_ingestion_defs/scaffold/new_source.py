"""Makes a source: `python -m floe_ingestion_defs.scaffold.new_source NAME`, in a project's folder.

What is made can be tested and loaded as it stands: the source, its README, its test, and the YAML
that declares it to the code location.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from floe_ingestion_defs.scaffold.files import require_name, write_new_files

_SOURCE = '''"""{title}: replace what `items` yields with what your system has.

dlt's documentation says what a resource can be: https://dlthub.com/docs/general-usage/resource
"""

from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources import DltResource

from dlt_sources.{name}.settings import FIRST_ID


@dlt.source
def source(last_id: int = 3) -> DltResource:
    """Everything that is loaded from {title}.

    Args:
        last_id: Stands for whatever your system has to be told; `arguments` in defs.yaml.
    """

    @dlt.resource(primary_key="id", write_disposition="merge")
    def items(
        cursor: dlt.sources.incremental[int] = dlt.sources.incremental(  # noqa: B008
            "id", initial_value=FIRST_ID
        ),
    ) -> Iterator[dict[str, Any]]:
        """Things, by their ids; only those that are new since the last load."""
        for number in range(cursor.last_value, last_id + 1):
            yield {{"id": number, "name": f"item {{number}}"}}

    return items
'''
_SETTINGS = '''"""What is fixed about {title}."""

FIRST_ID = 1
'''
_README = """# {title}

| resource | table | how |
|---|---|---|
| `items` | `bronze.{name}_items` | merged on `id`; only ids past the last one loaded |

Declared in `{package}/defs/{name}/defs.yaml`, tested in `tests/sources/{name}/`.
"""
_TEST = '''"""The source `{name}`, loaded into an Iceberg catalog of the test's own."""

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
      description: What {title} has.
      source_type: python
      source_config:
        factory: dlt_sources.{name}:source
        resource_names: [items]
        arguments: {{last_id: 3}}
      destination_table: bronze.{name}_{{resource}}
"""


def make_source(name: str, root: Path) -> list[Path]:
    """Write the files of a new source.

    Args:
        name: Name of the source: lower-case words joined by single underscores.
        root: Folder of the project; its `pyproject.toml` names the package that `defs/` is in.

    Returns:
        The files that were made.

    Raises:
        ValueError: The name cannot be used, or the folder is not that of a project.
        FileExistsError: There is such a source already; nothing is overwritten.
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
    """Read which package of a project holds `definitions.py` and `defs/`.

    Args:
        root: Folder of the project.

    Raises:
        ValueError: It has no `pyproject.toml` that says so.
    """
    path = root / "pyproject.toml"
    try:
        package = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["dg"]["project"]
        return str(package["root_module"])
    except (FileNotFoundError, KeyError) as error:
        msg = f"{path} names no root_module in [tool.dg.project]: run this in a project's folder"
        raise ValueError(msg) from error


def main() -> int:
    """Make a source named on the command line in the working directory."""
    parser = argparse.ArgumentParser(
        prog="python -m floe_ingestion_defs.scaffold.new_source", description=__doc__
    )
    parser.add_argument("name", help="such as shop; lower-case words joined by underscores")
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
