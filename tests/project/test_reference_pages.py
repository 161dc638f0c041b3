"""The pages list each setting of the models, option of the destination, and variable."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from floe_ingestion_defs.components.schema import IngestionAttributes
from floe_ingestion_defs.destinations import CompactionOptions, ExpiryOptions, iceberg
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig, LoadRequest, RetryConfig
from floe_ingestion_defs.dlt_plugin.config.columns import ColumnConfig
from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
from floe_ingestion_defs.dlt_plugin.config.source_options.python import PythonOptions
from floe_ingestion_defs.dlt_plugin.config.source_options.rest_api import RestApiOptions
from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import SqlDatabaseOptions

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
NAME = re.compile(r"`([^`]+)`")
PROJECT_VARIABLE = re.compile(r'(?:"|\$\{?)((?:FLOE|OPENLINEAGE|RAY|DASK)_[A-Z_]*[A-Z])\b')

# By page, the text before the table, and what is listed there.
MODELS: dict[tuple[str, str], Any] = {
    ("sources/reference.md", "A source defines"): IngestionSourceConfig,
    ("sources/reference.md", "## Settings of a file"): IngestionAttributes,
    ("sources/reference.md", "| `defs_state` |"): RetryConfig,
    ("sources/reference.md", "## Columns"): ColumnConfig,
    ("sources/filesystem.md", "## Options"): FilesystemOptions,
    ("sources/sql-database.md", "## Options"): SqlDatabaseOptions,
    ("sources/rest-api.md", "## Options"): RestApiOptions,
    ("sources/python.md", "## Options"): PythonOptions,
}


def rows_below(page: str, text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the names and the other cells of each row of the first table after a text."""
    table = TABLE.search((DOCS / page).read_text().split(f"\n{text}", 1)[1])
    assert table is not None
    for line in table[0].splitlines()[2:]:
        first, *others = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|")))
        assert all(others), line
        yield NAME.findall(first), others


def listed(page: str, text: str) -> list[str]:
    return [name for names, _ in rows_below(page, text) for name in names]


def literal(field: FieldInfo) -> str:
    """Return a default that a page must show as it is; empty where it says it in words."""
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    return default if isinstance(default, str) and default.isalnum() else ""


def choices(annotation: Any) -> Iterator[str]:
    """Yield the values between which a setting chooses."""
    for each in get_args(annotation):
        if get_origin(annotation) is not Literal:
            yield from choices(each)
        elif isinstance(each, str):
            yield each


@pytest.mark.parametrize(("page", "text"), MODELS)
def test_every_setting_is_listed_with_its_default(page: str, text: str) -> None:
    model = {f.alias or name: f for name, f in MODELS[page, text].model_fields.items()}
    assert sorted(listed(page, text)) == sorted(model)
    for names, cells in rows_below(page, text):
        if len(names) == 1:
            field = model[names[0]]
            assert literal(field) in cells[-1], names
            assert {each for each in choices(field.annotation) if each not in str(cells)} == set()


@pytest.mark.parametrize(
    ("options", "page", "text"),
    [
        (CompactionOptions, "operate/maintenance.md", "Files are combined within"),
        (ExpiryOptions, "operate/maintenance.md", "On the command line, this is `floe expire"),
        (LoadRequest, "sources/reference.md", "`load` raises the error"),
    ],
    ids=["compaction", "expiry", "load"],
)
def test_every_option_of_a_class_is_listed(options: Any, page: str, text: str) -> None:
    assert listed(page, text) == [field.name for field in fields(options)]


def test_every_option_of_the_destination_is_listed() -> None:
    options = set(inspect.signature(iceberg).parameters) - {"kwargs"}
    assert set(listed("destination/plain-dlt.md", "## Options")) == options


def test_every_variable_of_the_project_is_listed() -> None:
    """Those that the code and the files of the deployment read."""
    folders = [ROOT / "floe_ingestion_defs", ROOT / "deploy"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix in (".py", ".yaml", ".example", "")]
    used = {name for path in files for name in PROJECT_VARIABLE.findall(path.read_text())}
    assert {"FLOE_HOME", "FLOE_BRANCH", "RAY_ADDRESS"} <= used
    page = (DOCS / "reference" / "environment.md").read_text()
    example = (ROOT / ".env.example").read_text()
    assert {name for name in used if f"`{name}`" not in page} == set()
    assert {name for name in used if f"\n#{name}=" not in example} == set()
