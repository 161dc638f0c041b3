"""`make remove-example`, on a copy of the repository: what is left is whole."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dlt_sources.nyc_flights.remove import remove_example

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = re.compile("nyc", re.IGNORECASE)


def copy_repository(folder: Path) -> Path:
    """Copy what git has, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in listed:
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def run(*arguments: str, cwd: Path) -> str:
    """Run a module of this environment on the copy, whose packages come first."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def removed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy without the example, and what the command said."""
    copy = copy_repository(tmp_path_factory.mktemp("copied"))
    return copy, run("dlt_sources.nyc_flights.remove", cwd=copy)


def test_nothing_of_it_is_left_but_what_the_command_names(removed: tuple[Path, str]) -> None:
    """No folder, no target, no variable, no test; only mentions, each of which it lists."""
    copy, said = removed
    files = [path for path in copy.rglob("*") if path.is_file() and "__pycache__" not in str(path)]
    assert not [path for path in files if EXAMPLE.search(str(path.relative_to(copy)))]
    mentions = {
        str(path.relative_to(copy))
        for path in files
        if path.suffix != ".png" and EXAMPLE.search(path.read_text("utf-8", "ignore"))
    }
    assert mentions == set(re.findall(r"^  (\S+)$", said, re.MULTILINE))
    assert mentions <= {
        "CHANGELOG.md",
        "benchmarks/flights.py",
        "constraints.txt",
        "floe_ingestion_defs/contracts/errors.py",
        "pyproject.toml",
    }
    assert "worked example" not in (copy / "README.md").read_text()


def test_the_location_and_the_linters_have_nothing_against_what_is_left(
    removed: tuple[Path, str],
) -> None:
    """An empty location loads; no import leads to what is gone."""
    copy, _ = removed
    validated = run("dagster", "definitions", "validate", cwd=copy)
    assert "All code locations passed validation" in validated
    run("ruff", "check", "--no-cache", cwd=copy)
    run("ruff", "format", "--check", "--no-cache", cwd=copy)


def test_every_test_that_is_left_can_be_run_and_those_of_the_documents_pass(
    removed: tuple[Path, str],
) -> None:
    """The links, the targets of make and the variables that documents name are there."""
    copy, _ = removed
    collected = run("pytest", "--collect-only", "-q", "-p", "no:cacheprovider", cwd=copy)
    assert "error" not in collected.splitlines()[-1]
    documents = ["tests/project/test_developer_files.py", "tests/deployment/test_compose.py"]
    links = ["tests/project/test_docs.py", "-k", "not python_of_a_page"]
    run("pytest", "-q", "-p", "no:cacheprovider", *documents, *links, cwd=copy)


def test_make_still_lists_its_targets_and_opens_the_ui(removed: tuple[Path, str]) -> None:
    """`make dev` now opens the UI on the project's own instance."""
    copy, _ = removed
    shown = subprocess.run(["make", "-n", "help", "dev"], cwd=copy, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "dagster dev -w workspace.yaml" in shown.stdout
    assert "demo" not in (copy / "Makefile").read_text()


def test_a_second_time_changes_nothing(removed: tuple[Path, str]) -> None:
    """It says that the example is gone already."""
    copy, _ = removed
    before = (copy / "README.md").read_text()
    with pytest.raises(FileNotFoundError, match="removed already"):
        remove_example(copy)
    assert (copy / "README.md").read_text() == before
