import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PYPROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "acme"
registry_modules = ["floe_ingestion_defs.components"]
"""


def run(*command: str, cwd: Path) -> str:
    """Run a command of this environment, and return what it says."""
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(BIN.parent),
        "PYTHONPATH": str(cwd),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["dagster", "definitions", "validate", "-m", "floe_ingestion_defs.definitions"],
            "All code locations passed validation",
        ),
        (["dg", "check", "defs"], "All definitions loaded successfully"),
    ],
)
def test_dagster_s_own_commands_find_nothing_wrong(command: list[str], said: str) -> None:
    """What continuous integration of a code location runs first."""
    assert said in run(*command, cwd=REPOSITORY)


def test_a_scaffolded_source_is_a_good_one(tmp_path: Path) -> None:
    """Whoever begins with `dg scaffold` begins with a file that loads, and edits it."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    for folder in (tmp_path / "acme", tmp_path / "acme" / "defs"):
        folder.mkdir()
        (folder / "__init__.py").touch()
    (tmp_path / "acme" / "definitions.py").write_text(
        (REPOSITORY / "floe_ingestion_defs" / "definitions.py").read_text()
    )

    component = "floe_ingestion_defs.components.IngestionComponent"
    run("dg", "scaffold", "defs", component, "web_shop", cwd=tmp_path)

    assert "All definitions loaded successfully" in run("dg", "check", "defs", cwd=tmp_path)
    listed = run("dg", "list", "defs", "--json", cwd=tmp_path)
    assert "ingestion__web_shop__web_shop" in listed
