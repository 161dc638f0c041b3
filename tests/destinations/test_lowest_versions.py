import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOWEST = ("dlt", "pyiceberg")
# dlt knows strategy `cdc` and the options of merges since 1.31.
WITHOUT = (
    "tests/dlt_suite/test_destination_scope.py",
    "tests/dlt_suite/test_newest_merges.py",
    "tests/dlt_suite/test_unchanged_rows.py",
)


def lowest(requirement: str) -> str:
    """The requirement, pinned to its lower bound."""
    return re.sub(r">=([0-9.]+).*", r"==\1", requirement)


def requirements() -> list[str]:
    """What the destination and its tests need, dlt and pyiceberg at their lower bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [
        r for r in project["dependencies"] if not re.match(r"dagster|structlog|tenacity|opent", r)
    ]
    pinned = [lowest(r) if re.match("|".join(LOWEST), r) else r for r in needed]
    extras = [
        r
        for name in ("duckdb", "postgres", "ray", "test")
        for r in project["optional-dependencies"][name]
        if not r.startswith("floe")
    ]
    return [*pinned, *extras]


@pytest.mark.all_cases
@pytest.mark.timeout(1800)
def test_the_destination_works_on_the_lowest_versions_that_are_admitted(tmp_path: Path) -> None:
    """The promises hold on the lower bounds of dlt and pyiceberg, too."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements()], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", ROOT], check=True)
    freeze = subprocess.run(
        [python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True
    ).stdout
    for name in LOWEST:
        wanted = next(r for r in requirements() if re.match(name, r))
        assert f"\n{name}=={wanted.rpartition('==')[2]}\n" in f"\n{freeze}\n"
    pytest_options = ["-q", "-m", "not all_cases", *(f"--deselect={test}" for test in WITHOUT)]
    tests = subprocess.run(
        [python, "-m", "pytest", *pytest_options, "tests/destinations", "tests/dlt_suite"],
        cwd=ROOT,
    )
    assert tests.returncode == 0
