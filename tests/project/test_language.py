"""Text is in the terms of Dagster, dlt and Iceberg: the words of `words.py` are not used."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from project.words import WORDS, Word

ROOT = Path(__file__).resolve().parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PROSE_SUFFIXES = {"", ".cloud", ".example", ".md", ".mk", ".sh", ".toml", ".yaml", ".yml"}
PROSE_FOLDERS = (".github", "deploy", "docs", "dlt_sources", "floe_ingestion_defs/defs")
# The folders of code whose comments, docstrings and messages use the standard terms.
CODE = (
    "benchmarks",
    "deploy",
    "dlt_sources",
    "docs",
    "floe_ingestion_defs/cli",
    "floe_ingestion_defs/components",
    "floe_ingestion_defs/contracts",
    "floe_ingestion_defs/dagster_wiring",
    "floe_ingestion_defs/destinations",
    "floe_ingestion_defs/dlt_plugin",
    "floe_ingestion_defs/scaffold",
    "tests",
)


def listed(*folders: str) -> list[Path]:
    """Return what git has, or would take, in some folders."""
    command = [
        "git",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        *folders,
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if (
        done.returncode != 0
    ):  # A copy of the repository, which has nothing that git would leave out.
        found = (path for folder in folders for path in (ROOT / folder).rglob("*"))
        return [path for path in found if path.is_file()]
    names = done.stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def prose_files() -> list[Path]:
    """Return the files that are text for people, comments included."""
    at_the_top = [path for path in listed(".") if path.parent == ROOT]
    return [
        path
        for path in [*at_the_top, *listed(*PROSE_FOLDERS)]
        if path.suffix in PROSE_SUFFIXES and path.name not in {"LICENSE", ".gitignore"}
    ]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs of a file, or of code its comments and strings, with their lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from texts_of_code(text)
        return
    number = 1
    for paragraph in re.split(r"(\n\s*\n)", text):
        yield number, paragraph
        number += paragraph.count("\n")


def texts_of_code(text: str) -> Iterator[tuple[int, str]]:
    """Yield comments, neighbouring ones as one, and strings of more than a word."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1 and block:
                yield first, " ".join(block)
                block = []
            first = token.start[0] if not block else first
            last = token.start[0]
            block.append(token.string.lstrip("# "))
    yield first, " ".join(block)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def found_in(path: Path) -> list[str]:
    """Return where a file has words that are not used, and what to write."""
    name = path.relative_to(ROOT)
    return [f"{name}:{line}: {found}" for line, text in texts_of(path) for found in judge(text)]


def judge(text: str) -> list[str]:
    """Return the words of a text that are not used, and what to write."""
    found = []
    flat = re.sub(r"\s+(# )?", " ", re.sub(r"`[^`\n]+`", "`…`", text))
    for word in WORDS:
        for match in re.finditer(word.pattern, flat, re.IGNORECASE):
            around = flat[max(0, match.start() - 30) : match.end() + 30]
            found.append(f"…{around}… write: {word.write}")
    return found


@pytest.mark.parametrize("path", prose_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_uses_the_standard_terms(path: Path) -> None:
    assert found_in(path) == []


def code_files(folder: str) -> list[Path]:
    """Return the Python files of a folder, except `words.py` and this file."""
    exempt = {Path(__file__).name, "words.py"}
    return [path for path in listed(folder) if path.suffix == ".py" and path.name not in exempt]


@pytest.mark.parametrize("folder", CODE)
def test_code_uses_the_standard_terms_in_comments_and_messages(folder: str) -> None:
    paths = code_files(folder)
    assert paths
    assert [line for path in paths for line in found_in(path)] == []


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.instead_of)
def test_a_rejected_word_is_listed_for_contributors(word: Word) -> None:
    """In the table of `CONTRIBUTING.md`, with what to write instead."""
    assert f"| {word.write} | `{word.instead_of}` |" in CONTRIBUTING.read_text()


@pytest.mark.parametrize(
    ("text", "rejected"),
    [
        ("'x' is no duration", True),
        ("there is no second storage", False),
        ("the file is no longer listed", False),
        ("without a zone", True),
        ("in this time\nzone", False),
        ("ended with connection refused", False),
        ("the check refuses it", True),
        ("It is tried again.", True),
        ("try:", False),
        ("`somebody`", False),
    ],
)
def test_the_patterns_find_the_word_and_not_its_neighbours(text: str, rejected: bool) -> None:
    """A lint with false positives would be disabled."""
    assert bool(judge(text)) == rejected


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    """In the table *Where do I change …*."""
    table = CONTRIBUTING.read_text().partition("## Where do I change")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+(?:/|\.py))`", table)
    assert len(named) >= 10
    homes = (ROOT, ROOT / "floe_ingestion_defs", *(ROOT / "floe_ingestion_defs").glob("*"))
    homes += ((ROOT / "floe_ingestion_defs/destinations/impl/iceberg"),)
    assert [name for name in named if not any((home / name).exists() for home in homes)] == []
