"""Packages of other engines, each in a folder of its own that later sessions use again.

They do not go into the main environment: DuckDB's Iceberg extension exists for one version of it,
Daft holds PyArrow back, and Spark is 400 MB. A folder is named after what is in it, so a change of
the requirements makes a new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ENGINES = Path(__file__).resolve().parents[2] / ".engines"

_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
# The user `_apt`, as whom root downloads otherwise, has no right to write into the folder.
_APT = ["apt-get", "-qq", "--option", "APT::Sandbox::User=root"]


class EngineMissing(Exception):
    """An engine cannot be installed here; the message says what to install."""


def python_packages(name: str, *requirements: str) -> Path:
    """Return a folder to put into `PYTHONPATH`, before the main environment's packages.

    Args:
        name: The engine's name, for the folder.
        requirements: Exact versions. Only these are installed; what they need besides comes from
            the main environment.
    """

    def install(folder: Path) -> None:
        pip = [*_PIP, "install", "--no-deps", "--no-compile", "--target", str(folder)]
        subprocess.run([*pip, *requirements], check=True)

    return _installed(name, requirements, install)


def source_package(name: str, requirement: str) -> Path:
    """Return the unpacked source distribution of a package, without building it.

    Spark has no wheel on the package index; building one compresses 320 MB again.
    """

    def install(folder: Path) -> None:
        pip = [*_PIP, "download", "--no-deps", "--no-cache-dir", "--dest", str(folder)]
        subprocess.run([*pip, requirement], check=True)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        archive.unlink()
        (unpacked,) = folder.iterdir()
        for entry in unpacked.iterdir():
            entry.rename(folder / entry.name)
        unpacked.rmdir()

    return _installed(name, (requirement,), install)


def debian_packages(name: str, *packages: str) -> Path:
    """Return a folder in which Debian packages are unpacked; this needs no root.

    Raises:
        EngineMissing: The system has no apt-get, or its archive does not have the packages.
    """

    def install(folder: Path) -> None:
        lists = folder / "lists"
        (lists / "partial").mkdir(parents=True)
        # Lists of its own: the system's may be missing or outdated, and are root's to update.
        apt = [*_APT, "--option", f"Dir::State::lists={lists}"]
        try:
            subprocess.run([*apt, "update"], check=True)
            subprocess.run([*apt, "download", *packages], cwd=folder, check=True)
            for archive in folder.glob("*.deb"):
                subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
                archive.unlink()
        except (OSError, subprocess.CalledProcessError) as error:
            names = " and ".join(packages)
            msg = f"{names} of Debian or Ubuntu cannot be downloaded"
            raise EngineMissing(msg) from error
        shutil.rmtree(lists)

    return _installed(name, packages, install)


def _installed(name: str, contents: tuple[str, ...], install: Callable[[Path], None]) -> Path:
    key = "\n".join([*sorted(contents), sys.version, os.uname().machine])
    folder = ENGINES / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    ENGINES.mkdir(exist_ok=True)
    with (ENGINES / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for outdated in ENGINES.iterdir():
                if re.fullmatch(rf"{name}-([0-9a-f]{{12}}|partial)", outdated.name):
                    shutil.rmtree(outdated)
            # An interrupted installation leaves a folder under another name.
            partial = ENGINES / f"{name}-partial"
            partial.mkdir()
            install(partial)
            partial.rename(folder)
    return folder
