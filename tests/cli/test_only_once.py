"""A second `make dev` on the same folder says that one is running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from floe_ingestion_defs.cli.only_once import AlreadyRunningError, only_once

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from floe_ingestion_defs.cli.only_once import only_once

with only_once("dev", Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_dev_says_that_one_is_running(tmp_path: Path) -> None:
    """With its address, if it has one; nothing is started or written."""
    with only_once("dev", tmp_path) as lock:
        lock.write("http://127.0.0.1:3000")
        lock.flush()
        done = subprocess.run(
            [sys.executable, "-m", "floe_ingestion_defs.cli", "dev"],
            cwd=ROOT,
            env={**os.environ, "FLOE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1, done.stdout
    assert f"`make dev` is already running on {tmp_path}: http://127.0.0.1:3000" in done.stderr


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """The kernel releases it, and no file has to be deleted."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(AlreadyRunningError, match="`make dev` is already running"):
        only_once("dev", tmp_path).__enter__()
    with only_once("demo", tmp_path):
        pass
    process.kill()
    process.wait()
    with only_once("dev", tmp_path):
        pass


def test_what_inherits_the_file_holds_the_lock(tmp_path: Path) -> None:
    """Dagster that survives the process that started it still uses the folder."""
    with only_once("dev", tmp_path) as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()]
        )
    with pytest.raises(AlreadyRunningError):
        only_once("dev", tmp_path).__enter__()
    child.communicate(b"\n")
    with only_once("dev", tmp_path):
        pass
