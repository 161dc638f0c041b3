import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE_PACKAGES = Path(pytest.__file__).parents[1]


@dataclass(frozen=True)
class Environment:
    """A virtual environment that has all packages of this one, but not the checkout.

    A `.pth` file is not read in a folder that another one names, so the editable install of the
    repository does not reach it.
    """

    folder: Path
    home: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        """Install without fetching anything."""
        self._run(
            *(sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"),
            *("--no-index", "--no-deps", "--no-build-isolation", *what),
            cwd=self.home,
        )

    def run(self, program: str, *arguments: str | Path, cwd: Path) -> str:
        """Run a program of the environment, and return what it says."""
        return self._run(self.folder / "bin" / program, *arguments, cwd=cwd)

    def run_program(self, *command: str | Path, cwd: Path) -> str:
        """Run a program of the system, and return what it says."""
        return self._run(*command, cwd=cwd)

    def _run(self, *command: str | Path, cwd: Path) -> str:
        # Only what a shell has anyway, so that nothing of this process leads to the checkout.
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "VIRTUAL_ENV": str(self.folder),
            "FLOE_HOME": str(self.home / "floe"),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        done = subprocess.run(
            list(map(str, command)),
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution's wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which the wheel is installed, outside the checkout."""
    home = tmp_path_factory.mktemp("elsewhere")
    made = Environment(home / "venv", home)
    venv.create(made.folder, with_pip=False, symlinks=True)
    (site,) = made.folder.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{SITE_PACKAGES}\n")
    for name in ("dg", "dagster", "pytest"):
        script = (Path(sys.executable).parent / name).read_text().split("\n", 1)
        (made.folder / "bin" / name).write_text(f"#!{made.python}\n{script[1]}")
        (made.folder / "bin" / name).chmod(0o755)
    made.install(wheel)
    return made
