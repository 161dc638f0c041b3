"""The templates of the files of a new project, by path; `new_project` fills them in."""

_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "{title}: a Dagster code location that loads into Apache Iceberg."
requires-python = ">=3.11"
dependencies = [
  # The engine, which implements loads, tables, assets and checks.
  "floe-ingestion-defs{engine}",
]

[project.optional-dependencies]
dev = ["dagster-dg-cli>=1.13.27,<2", "pytest>=9.2.0"]

[tool.hatch.build.targets.wheel]
packages = ["{name}", "dlt_sources"]

[tool.dg]
directory_type = "project"

[tool.dg.cli]
# `.venv/bin/dg` runs in the project's environment whether or not a shell has activated it.
suppress_warnings = ["project_and_activated_venv_mismatch"]

[tool.dg.project]
root_module = "{name}"
code_location_target_module = "{name}.definitions"
code_location_name = "{name}"
registry_modules = ["floe_ingestion_defs.components"]

[tool.dagster]
module_name = "{name}.definitions"
code_location_name = "{name}"

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
addopts = "--import-mode=importlib"
"""
_DEFINITIONS = '''"""The Dagster code location: everything below `defs/`."""

from pathlib import Path

import dagster as dg
from floe_ingestion_defs.dagster_wiring import load_location


@dg.definitions
def defs() -> dg.Definitions:
    """Load `defs/`, add the definitions that all sources share, and link the code to git."""
    return load_location(Path(__file__).parent)
'''
_TEST = '''"""Tests of the whole code location."""

import dagster as dg

from {name}.definitions import defs


def test_the_location_loads() -> None:
    """Every defs.yaml is valid, and no two sources conflict."""
    dg.Definitions.validate_loadable(defs())
'''
_WORKSPACE = """\
# The code location that `dagster dev`, the webserver and the daemon load. Its name must be the same
# here, in pyproject.toml and in dagster_cloud.yaml.
load_from:
  - python_module:
      module_name: {name}.definitions
      location_name: {name}
"""
_CLOUD = """\
# The code location, for Dagster+.
locations:
  - location_name: {name}
    code_source:
      module_name: {name}.definitions
    build:
      directory: .
"""
_GITIGNORE = """\
.venv*/
.floe/
__pycache__/
*.egg-info/
.pytest_cache/
dist/
.env
.dlt/secrets.toml
.pyiceberg.yaml
"""
_README = """\
# {title}

A Dagster code location that loads into Apache Iceberg. The engine is the package
`floe-ingestion-defs`; this project contains only its own sources:

| folder | content |
|---|---|
| `{name}/defs/` | a folder per component, with a `defs.yaml` that defines what is loaded and when |
| `dlt_sources/` | sources written in Python, one package each |
| `tests/` | tests of the sources |

## Install

    python -m venv .venv
    .venv/bin/pip install floe_ingestion_defs-*.whl -e '.[dev]'

The wheel is the engine's; omit it if your package index provides the engine.
`.venv/bin/pip freeze --exclude-editable > constraints.txt` records the installed versions, and
`pip install -c constraints.txt` installs the same ones.

## Add a source

    .venv/bin/python -m floe_ingestion_defs.scaffold.new_source shop
    .venv/bin/python -m pytest
    .venv/bin/dg check defs
    .venv/bin/dg launch --assets ingestion__shop__items

Without a catalog in the environment, tables are stored below `.floe/`.

## Upgrade

Raise the version in `pyproject.toml`, install again, and run the tests.
"""

PROJECT_FILES = {
    "pyproject.toml": _PYPROJECT,
    "workspace.yaml": _WORKSPACE,
    "dagster_cloud.yaml": _CLOUD,
    "README.md": _README,
    ".gitignore": _GITIGNORE,
    "{name}/__init__.py": '"""The code location {name}."""\n',
    "{name}/definitions.py": _DEFINITIONS,
    "{name}/defs/__init__.py": '"""Components, each in a folder with its `defs.yaml`."""\n',
    "dlt_sources/__init__.py": '"""Sources of this project, one package each."""\n',
    "tests/test_definitions.py": _TEST,
}
