import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from floe_ingestion_defs.scaffold.new_project import make_project

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PYPROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "acme"
registry_modules = ["floe_ingestion_defs.components"]
"""


def run(
    *command: str, cwd: Path, fails: bool = False, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command of this environment, and return what it says."""
    variables = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(BIN.parent),
        "PYTHONPATH": str(cwd),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        **(environment or {}),
    }
    done = subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["dagster", "definitions", "validate", "-m", "floe_ingestion_defs.definitions"],
            "All code locations passed validation",
        ),
        (["dg", "check", "defs"], "All definitions loaded successfully"),
        (["dg", "check", "yaml"], "All component YAML validated successfully"),
    ],
)
def test_dagster_s_own_commands_find_no_error(command: list[str], said: str) -> None:
    """What continuous integration of a code location runs first."""
    assert said in run(*command, cwd=REPOSITORY)


def test_dg_does_not_warn_where_no_shell_has_activated_the_environment(tmp_path: Path) -> None:
    """`.venv/bin/dg` of a new clone and of a new project: the environment is the project's own."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["dg"]["cli"]
    make_project("acme", tmp_path)
    (tmp_path / ".venv").symlink_to(BIN.parent)
    for folder in (REPOSITORY, tmp_path):
        said = run("dg", "list", "envs", cwd=folder, environment={"VIRTUAL_ENV": ""})
        assert "virtual environment" not in said
    assert settings == {"suppress_warnings": ["project_and_activated_venv_mismatch"]}


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """A project with one source, as `dg scaffold` writes it."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    for folder in (tmp_path / "acme", tmp_path / "acme" / "defs"):
        folder.mkdir()
        (folder / "__init__.py").touch()
    (tmp_path / "acme" / "definitions.py").write_text(
        (REPOSITORY / "floe_ingestion_defs" / "definitions.py").read_text()
    )
    component = "floe_ingestion_defs.components.IngestionComponent"
    run("dg", "scaffold", "defs", component, "web_shop", cwd=tmp_path)
    return tmp_path


def test_a_scaffolded_source_is_valid_and_an_invalid_one_is_found(acme: Path) -> None:
    """`dg scaffold` generates a file that loads, which the user then edits.

    What is wrong then is said with file, line and field: a field that does not exist by the
    schema, a value that cannot be by the location.
    """
    assert "validated successfully" in run("dg", "check", "yaml", cwd=acme)
    listed = run("dg", "list", "defs", "--json", cwd=acme)
    for name in ("ingestion__web_shop__web_shop", "ingestion__web_shop_schedule"):
        assert name in listed

    file = acme / "acme" / "defs" / "web_shop" / "defs.yaml"
    text = file.read_text()
    (line,) = [n for n, text in enumerate(text.splitlines(), 1) if text.strip().startswith("cron:")]
    file.write_text(text.replace("cron:", "corn:"))

    said = run("dg", "check", "yaml", cwd=acme, fails=True)
    assert f"defs.yaml:{line}" in said
    assert "'corn' was unexpected" in said
    file.write_text(text.replace("15 6 * * *", "daily"))
    said = run("dg", "check", "defs", cwd=acme, fails=True)
    assert f"defs.yaml:{line}: source 'web_shop'" in said
    assert "orchestration.cron" in said


STATE_STORAGE = """
defs_state_storage:
  module: dagster._core.storage.defs_state.blob_storage_state_storage
  class: UPathDefsStateStorage
  config: {base_path: "%s"}
"""


def test_a_stored_list_of_tables_is_used_by_other_processes(
    acme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's storage of the instance keeps the list; the database may be down meanwhile."""
    home = acme / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text(STATE_STORAGE % (acme / "storage"))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    database = acme / "shop.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE sales_2024 (id integer primary key)")
    (acme / "acme" / "defs" / "web_shop" / "defs.yaml").write_text(
        f"""
type: floe_ingestion_defs.components.IngestionComponent
attributes:
  sources:
    - name: shop
      source_type: sql_database
      credentials: sqlite:///{database}
      source_config: {{table_names: "sales_*"}}
      destination_table: bronze.{{resource}}
  defs_state: {{management_type: VERSIONED_STATE_STORAGE, refresh_if_dev: false}}
"""
    )
    run("dg", "utils", "refresh-defs-state", cwd=acme)
    database.unlink()
    assert "ingestion__shop__sales_2024" in run("dg", "list", "defs", "--json", cwd=acme)


def test_dg_check_defs_and_dg_list_defs_report_every_broken_file(acme: Path) -> None:
    """`dg check yaml` validates only the last file of several with the same component type."""
    good = acme / "acme" / "defs" / "web_shop" / "defs.yaml"
    for name in ("a_shop", "b_shop", "z_shop"):
        shutil.copytree(good.parent, good.parent.with_name(name))
        text = good.read_text().replace("web_shop", name)
        if name != "z_shop":
            text = text.replace("15 6 * * *", "daily")
        (good.parent.with_name(name) / "defs.yaml").write_text(text)

    for command in (["dg", "check", "defs"], ["dg", "list", "defs"]):
        said = re.sub(r"\s", "", run(*command, cwd=acme, fails=True))
        for name in ("a_shop", "b_shop"):
            assert f"/defs/{name}/defs.yaml:" in said
