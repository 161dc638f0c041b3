"""The templates of the files of a new project, by path; `new_project` fills them in."""

from floe_ingestion_defs.scaffold.operation_files import ENVIRONMENT, MAKEFILE

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
{extras}

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

    make venv                          install the versions in constraints.txt, with the extra dev
    make venv WHEELS=../dist           the folder with the engine's wheel, if no index provides it
    make venv EXTRAS=dev,postgres      with further extras; pyproject.toml says what each is for

`make help` lists the other targets, and `.env.example` the environment variables, of which none is
required.

## Add a source

    make new-source NAME=shop
    make test
    make check
    .venv/bin/dg launch --assets ingestion__shop__items
    make dev                           the Dagster UI

Without a catalog in the environment, tables are stored below `.floe/`.

## Upgrade

Raise the version in `pyproject.toml`, delete `.venv` and the content of `constraints.txt`, and run
`make venv test constraints`, which records the versions that the tests passed with.
"""

# The engine's extras, and what each is for.
EXTRAS = {
    "postgres": "PostgreSQL as a source.",
    "excel": "Excel files as a source.",
    "duckdb": "Reading the tables with `pipeline.dataset()`.",
    "sql-postgres": "A SQL catalog in PostgreSQL.",
    "s3fs": "S3 by fsspec instead of PyArrow.",
    "production": "A deployment of your own: Dagster's storage in PostgreSQL.",
    "kubernetes": "The same, with a pod per run.",
    "cloud": "Dagster+.",
    "openlineage": "Lineage events for a server of OpenLineage.",
    "ray": "Merges and compactions on a Ray cluster.",
    "dask": "Merges and compactions on a Dask cluster.",
}

PROJECT_FILES = {
    "Makefile": MAKEFILE,
    ".env.example": ENVIRONMENT,
    "constraints.txt": "{constraints}\n",
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
