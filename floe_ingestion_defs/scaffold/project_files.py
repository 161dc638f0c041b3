"""The files of a new project, as templates by their paths; `new_project` fills them in."""

_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "What {title} loads into Apache Iceberg."
requires-python = ">=3.11"
dependencies = [
  # Loads, tables, assets and checks are the engine's; a fix arrives with its next version.
  "floe-ingestion-defs{engine}",
]

[project.optional-dependencies]
dev = ["dagster-dg-cli>=1.13.27,<2", "pytest>=9.2.0"]

[tool.hatch.build.targets.wheel]
packages = ["{name}", "dlt_sources"]

[tool.dg]
directory_type = "project"

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
    """Load `defs/`, add what all sources share, and link the code to git."""
    return load_location(Path(__file__).parent)
'''
_TEST = '''"""The code location as a whole."""

import dagster as dg

from {name}.definitions import defs


def test_the_location_loads() -> None:
    """Every defs.yaml is right, and no two sources get in each other's way."""
    dg.Definitions.validate_loadable(defs())
'''
_WORKSPACE = """\
# What `dagster dev`, the webserver and the daemon load. The name is the code location's name
# everywhere: here, in pyproject.toml and in dagster_cloud.yaml.
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
`floe-ingestion-defs`; here is only what is this project's own:

| | |
|---|---|
| `{name}/defs/` | a folder for each component, with its `defs.yaml`: what is loaded, and when |
| `dlt_sources/` | sources written in Python, one package each |
| `tests/` | their tests |

## Install

    python -m venv .venv
    .venv/bin/pip install floe_ingestion_defs-*.whl -e '.[dev]'

The wheel comes from wherever you keep it; with an index of your own, leave it out of the command.
`.venv/bin/pip freeze --exclude-editable > constraints.txt` records what was installed, and
`pip install -c constraints.txt` repeats it.

## Add a source

    .venv/bin/python -m floe_ingestion_defs.scaffold.new_source shop
    .venv/bin/python -m pytest
    .venv/bin/dg check yaml
    .venv/bin/dg check defs
    .venv/bin/dg launch --assets ingestion__shop__items

Without a catalog in the environment, the tables land below `.floe/`.

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
    "{name}/defs/__init__.py": '"""A folder for each component, with its `defs.yaml`."""\n',
    "dlt_sources/__init__.py": '"""Sources that this project wrote itself, one package each."""\n',
    "tests/test_definitions.py": _TEST,
}
