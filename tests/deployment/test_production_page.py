"""`docs/operate/production.md`, run as one script in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from repository import ROOT, copy_repository
from servers.postgres import find_postgres
from servers.process import find_program, free_port

PAGE = ROOT / "docs" / "operate" / "production.md"
PORTS = ("8181", "8333", "9333", "9340", "8888", "23646", "5432", "4000", "3000")
BIN = Path(sys.executable).parent
SITE_PACKAGES = Path(pytest.__file__).parents[1]
# What the daemon says when it starts for the first time, as the page says.
FIRST_START = "ignoring older events"
# initdb rejects root, which the tests may run as: another user, who may read root's files.
AS_NOBODY = (
    "setpriv --reuid=65534 --regid=65534 --clear-groups"
    " --inh-caps=+dac_override --ambient-caps=+dac_override --"
)


@pytest.fixture
def home() -> Iterator[Path]:
    """The home of a user who follows the page; every process that is left in it is ended."""
    folder = Path(tempfile.mkdtemp(prefix="floe-page-"))
    try:
        yield folder
    finally:
        for file in (folder / "floe-state").glob("**/*.pid"):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(file.read_text().split()[0]))
                for each in [*process.children(recursive=True), process]:
                    each.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def checkout(home: Path) -> Path:
    """A copy of the repository whose `.venv` has the packages already, so that none is fetched."""
    copy = home / "floe-ingestion"
    copy_repository(copy, without="tests/")
    venv.create(copy / ".venv", with_pip=False, symlinks=True)
    (site,) = (copy / ".venv").glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{SITE_PACKAGES}\n")
    for name in ("dg", "dagster", "dagster-daemon", "dagster-webserver", "pip"):
        script = (BIN / name).read_text().split("\n", 1)
        (copy / ".venv/bin" / name).write_text(f"#!{copy / '.venv/bin/python'}\n{script[1]}")
        (copy / ".venv/bin" / name).chmod(0o755)
    weed = find_program("weed")
    assert weed is not None
    (copy / ".venv/bin/weed").symlink_to(weed)
    return copy


@pytest.fixture
def programs(home: Path) -> Path:
    """PostgreSQL's programs, as a user who is not root has them."""
    folder = home / "bin"
    folder.mkdir()
    found = find_postgres()
    assert found is not None
    as_user = AS_NOBODY if os.geteuid() == 0 else ""
    for name in ("initdb", "pg_ctl", "psql"):
        (folder / name).write_text(f'#!/bin/sh\nexec {as_user} {found / name} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.rest
@pytest.mark.timeout(600)
def test_a_user_who_follows_the_page_has_a_deployment_that_loads(
    home: Path, checkout: Path, programs: Path
) -> None:
    """Every command works in the order that the page has, and ends with what it says."""
    ports = {port: str(free_port()) for port in PORTS}
    script = re.sub(
        r"\b\d{4,5}\b", lambda match: ports.get(match[0], match[0]), "\n".join(read_blocks())
    )
    # A shell that is not interactive, as a script's is.
    done = subprocess.run(
        ["bash", "-c", f"set -xeuo pipefail\n{script}"],
        cwd=checkout,
        env={
            "HOME": str(home),
            "PATH": os.pathsep.join([str(programs), str(BIN), os.environ["PATH"]]),
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            # The build backend is there, as all packages are.
            "PIP_NO_BUILD_ISOLATION": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )
    logs = "\n".join(
        f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}"
        for log in sorted((home / "floe-state").glob("*.log"))
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}\n{logs}"
    (answer,) = re.findall(r"^```text\n(\d+)\n```", PAGE.read_text(), re.MULTILINE)
    assert answer == "3"
    assert answer in done.stdout.splitlines()
    assert "All definitions loaded successfully" in done.stdout
    said = f"{done.stdout}\n{done.stderr}\n{logs}"
    warnings = [
        line
        for line in said.splitlines()
        if re.search("warning", line, re.IGNORECASE) and FIRST_START not in line
    ]
    assert not warnings, "\n".join(warnings)
    sources = {path.parent.name for path in checkout.glob("floe_ingestion_defs/defs/*/defs.yaml")}
    assert sources == {"shop"}
    secret = re.search(r"^DAGSTER_PG_PASSWORD=(\w{48})$", (checkout / ".env").read_text(), re.M)
    assert secret is not None
    assert (checkout / ".env").stat().st_mode & 0o077 == 0
    assert secret[1] not in logs
    # The code server waits up to a minute for calls that are open, the others end at once.
    pids = {file.stem: int(file.read_text()) for file in (home / "floe-state").glob("*.pid")}
    processes = [psutil.Process(pid) for pid in pids.values() if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=75)
    assert {name for name, pid in pids.items() if any(each.pid == pid for each in alive)} == set()


def test_the_test_replaces_every_port_of_the_page() -> None:
    """Otherwise following the page in a test could reach another user's server."""
    named = set(re.findall(r"\b\d{4,5}\b", "\n".join(read_blocks())))
    assert named == set(PORTS)


def test_every_block_of_the_page_can_be_pasted() -> None:
    """No prompts, and each is complete: bash parses it on its own."""
    blocks = read_blocks()
    assert len(blocks) == 7
    for block in blocks:
        assert not re.search(r"^[$>] ", block, re.MULTILINE)
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def read_blocks() -> list[str]:
    """The page's blocks of commands, in their order."""
    return re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
