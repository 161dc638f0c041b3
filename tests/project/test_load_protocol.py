"""`docs/internals/load-protocol.md` names what the log persists, and only code that exists."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

from floe_ingestion_defs.destinations.impl import iceberg
from floe_ingestion_defs.destinations.impl.iceberg import intent
from floe_ingestion_defs.destinations.impl.iceberg.branch import clone, clone_tables
from floe_ingestion_defs.destinations.impl.iceberg.log import format as log_format

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
INTERNALS = ROOT / "docs" / "internals"
PROTOCOL = INTERNALS / "load-protocol.md"
CODE_SPAN = re.compile(r"`([^`\n]+)`")
TEST = re.compile(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`")
ROOMS = "|".join(
    path.stem for path in Path(iceberg.__file__).parent.iterdir() if not path.stem.startswith("_")
)
FUNCTION = re.compile(rf"`((?:{ROOMS})(?:\.(?!py`)\w+)+)`")
MODELS = [
    value
    for name, value in vars(intent).items()
    if name.isidentifier()  # pydantic adds `Window[…]`, which a persisted record inherits from
    and isinstance(value, type)
    and issubclass(value, BaseModel)
    and value.__module__ == intent.__name__
    and not name.startswith("_")
]


def constants(module: object) -> dict[str, str]:
    """Return the strings that a module defines under names in capitals."""
    return {
        name: value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }


PERSISTED = {
    **constants(log_format),
    **constants(clone_tables),
    "BRANCH_PROPERTY": clone.BRANCH_PROPERTY,
    "PLAN_PROPERTY": clone.PLAN_PROPERTY,
}


@pytest.fixture(scope="module")
def page() -> str:
    return PROTOCOL.read_text()


def section(page: str, heading: str) -> str:
    """Return a section of the page, up to the next heading of its level."""
    return page.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> set[str]:
    """Return the names in the first cells of the tables' rows."""
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    return {name for cell in cells for name in CODE_SPAN.findall(cell)}


@pytest.mark.parametrize("name", PERSISTED)
def test_every_persisted_name_is_on_the_page(name: str, page: str) -> None:
    """A name that is persisted in tables, logs or snapshots cannot be changed unnoticed."""
    spans = [span.replace("{table}", "") for span in CODE_SPAN.findall(page)]
    assert any(span.startswith(PERSISTED[name]) for span in spans), PERSISTED[name]


def test_the_columns_on_the_page_are_those_of_the_log(page: str) -> None:
    """All of them, and no others."""
    columns = section(page, "The log, `_dlt_loads`").split("\n### ")[0]
    assert first_cells(columns) == set(log_format.LOG_SCHEMA.names)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_fields_on_the_page_are_those_of_an_intent(model: type[BaseModel], page: str) -> None:
    """The two outer records have tables of their own; the others share one."""
    described = section(page, "The intent")
    name = model.__name__
    if f"\n`{name}`" in described:
        table = described.split(f"\n`{name}`")[1].split("\n\n")[1]
        fields = first_cells(table)
    else:
        row = rf"\| `{name}` (\| `\w+` \|.*\n(?:\| \| `\w+` \|.*\n)*)"
        found = re.search(row, described)
        assert found is not None
        fields = set(re.findall(r"^(?:\| )?\| `(\w+)`", found[1], re.MULTILINE))
    assert fields == {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("name", sorted(set(FUNCTION.findall(PROTOCOL.read_text()))))
def test_every_function_that_the_page_names_exists(name: str) -> None:
    """If the function was renamed, the reader would not find it."""
    package, parts = iceberg.__name__, name.split(".")
    depth = next(n for n in range(len(parts), 0, -1) if is_module(package, parts[:n]))
    found = import_module(".".join([package, *parts[:depth]]))
    for part in parts[depth:]:
        found = getattr(found, part)


def test_every_invariant_names_its_function_and_its_test(page: str) -> None:
    """An invariant needs a function that keeps it and a test that fails without it."""
    rows = [line for line in section(page, "Invariants").splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        _, function, test = row.strip("| ").split(" | ")
        assert FUNCTION.search(function), row
        assert TEST.search(test), row


def is_module(package: str, parts: list[str]) -> bool:
    path = Path(iceberg.__file__).parent.joinpath(*parts)
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_every_module_that_uses_private_names_is_on_the_page(page: str) -> None:
    """Private names change without notice, so raising a version begins with that list."""
    package = Path(iceberg.__file__).parent
    using = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "noqa: SLF001" in path.read_text()
    }
    assert using
    assert using <= set(CODE_SPAN.findall(section(page, "pyiceberg's internals")))


def test_every_workaround_names_its_upstream_issue_on_the_page(page: str) -> None:
    """The table says when to delete it, so raising a version begins with that list, too."""
    numbers = {
        number
        for path in Path(iceberg.__file__).parent.rglob("*.py")
        for found in re.findall(r"(?:issues?|pull requests?)((?:\s|#|and|\d)+)", path.read_text())
        for number in re.findall(r"\d+", found)
    }
    assert numbers
    assert numbers <= set(re.findall(r"\d+", section(page, "pyiceberg's internals")))


@pytest.mark.parametrize(
    ("page", "file", "test"),
    sorted(
        (path.name, *found)
        for path in INTERNALS.rglob("*.md")
        for found in TEST.findall(path.read_text())
    ),
)
def test_every_test_that_a_page_names_exists(page: str, file: str, test: str) -> None:
    """Each invariant is verified by a test that can be run by its name."""
    tree = ast.parse((TESTS / file).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert test in names, f"{page} names {file}::{test}"
