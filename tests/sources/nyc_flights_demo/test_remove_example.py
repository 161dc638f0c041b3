"""Removing the example as CONTRIBUTING.md describes, from a copy of the repository."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from repository import copy_repository

COMMAND = re.compile(r"^\$ (rm -r (?:.*\\\n)*.*)$", re.MULTILINE)
SECTION = re.compile(r"the section \*([^*]+)\* of `README.md`")
ASSETS = '{"query": "{ assetNodes { assetKey { path } } }"}'


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository without the example, and with a source of its own."""
    folder = tmp_path_factory.mktemp("copied")
    copy_repository(folder)
    instructions = (folder / "CONTRIBUTING.md").read_text()
    (command,), (section,) = COMMAND.findall(instructions), SECTION.findall(instructions)
    subprocess.run(["bash", "-euc", command], cwd=folder, check=True)
    readme = folder / "README.md"
    text, removed = re.subn(
        rf"^## {section}\n.*?(?=^## )", "", readme.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    assert removed == 1
    readme.write_text(text)
    _run("floe_ingestion_defs.scaffold.new_source", "shop", cwd=folder)
    return folder


def _environment(copy: Path) -> dict[str, str]:
    """The copy's packages take precedence over the installed ones."""
    paths = {"PYTHONPATH": str(copy), "FLOE_HOME": str(copy / ".floe"), "DAGSTER_HOME": ""}
    return {**os.environ, **paths, "DAGSTER_DISABLE_TELEMETRY": "1"}


def _run(*arguments: str, cwd: Path) -> str:
    """Run a module of this Python environment on the copy."""
    return _check_output([sys.executable, "-m", *arguments], cwd)


def _make(*arguments: str) -> list[str]:
    """The command line of make, with this Python environment taken as the copy's."""
    environment = Path(sys.prefix)
    there = [
        option for stamp in (".runnable", ".installed") for option in ("-o", environment / stamp)
    ]
    return ["make", f"VENV={environment}", *map(str, there), *arguments]


def _check_output(command: list[str], cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=_environment(cwd), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_no_file_of_the_example_is_left(copy: Path) -> None:
    """Only what CONTRIBUTING.md names still mentions it, and a few files that mention the data."""
    files = [path for path in copy.rglob("*") if path.is_file() and "__pycache__" not in str(path)]
    names = {str(path.relative_to(copy)) for path in files}
    assert not [name for name in names if "nyc" in name or "example.mk" in name]
    mentions = {
        str(path.relative_to(copy))
        for path in files
        if path.suffix != ".png" and re.search("nyc", path.read_text("utf-8", "ignore"), re.I)
    }
    assert {name for name in mentions if not name.startswith("deploy/")} <= {
        ".env.example",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "benchmarks/flights.py",
        "constraints.txt",
        "docs/operate/production.md",
        "docs/sources/python.md",
        "floe_ingestion_defs/contracts/errors.py",
        "pyproject.toml",
    }


def test_the_location_is_valid_with_a_new_source(copy: Path) -> None:
    """YAML and definitions are valid; no import leads to a deleted module."""
    program = str(Path(sys.executable).with_name("dg"))
    _check_output([program, "check", "yaml"], copy)
    assert "loaded successfully" in _check_output([program, "check", "defs"], copy)


def test_linters_and_the_tests_of_the_documents_pass(copy: Path) -> None:
    """Every test can be collected; links, make targets and variables of the documents exist."""
    _run("ruff", "check", "--no-cache", cwd=copy)
    _run("ruff", "format", "--check", "--no-cache", cwd=copy)
    # All are collected, which is an error where one imports a deleted module.
    documents = "test_developer_files or test_compose or (test_docs and not python_of_a_page)"
    _run("pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", documents, cwd=copy)


def test_make_help_lists_the_targets_without_the_example(copy: Path) -> None:
    """`make dev` belongs to the project, `make demo` to the example."""
    targets = set(re.findall(r"^  make (\S+)", _check_output(_make("help"), copy), re.MULTILINE))
    assert {"dev", "new-source", "test", "lint"} <= targets
    assert not {"demo", "clean-demo", "screenshots"} & targets


@pytest.mark.timeout(600)
def test_make_dev_opens_the_ui_with_the_new_source(copy: Path) -> None:
    """On an instance below FLOE_HOME."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with (copy / "output").open("w") as output:
        process = subprocess.Popen(
            _make("dev", f"PORT={port}"),
            cwd=copy,
            env=_environment(copy),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        keys = _wait_for_assets(port, process)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert sorted(keys) == [["ingestion__shop__items"], ["source__shop__items"]], (
        copy / "output"
    ).read_text()
    assert (copy / ".floe" / "dagster").is_dir()


def _wait_for_assets(port: int, process: subprocess.Popen[bytes]) -> list[list[str]]:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = requests.post(
                f"http://127.0.0.1:{port}/graphql",
                data=ASSETS,
                headers={"Content-Type": "application/json"},
                timeout=60,
            ).json()
        except requests.ConnectionError:
            answer = {}
        if nodes := answer.get("data", {}).get("assetNodes"):
            return [node["assetKey"]["path"] for node in nodes]
        time.sleep(0.5)
    return []
