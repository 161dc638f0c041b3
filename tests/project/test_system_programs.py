"""What tests need from the system is used where it is there, and installed by root alone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ui.chromium import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
# The target of make, a program that makes it do nothing, and Debian's package.
TARGETS = [
    ("chromium", "google-chrome", "chromium"),
    ("java", "java", "openjdk-17-jre-headless"),
]
each_target = pytest.mark.parametrize(("target", "program", "package"), TARGETS)


def make(target: str, path: Path, user_id: int, *programs: str) -> subprocess.CompletedProcess[str]:
    """Run a target where only the given programs are installed; apt-get notes its arguments."""
    for name in ("bash", "make"):
        (path / name).symlink_to(shutil.which(name) or name)
    scripts = {"id": f"echo {user_id}", "apt-get": f'echo "$@" >> {path}/installed'}
    for name in ("id", *programs):
        (path / name).write_text(f"#!{path}/bash\n{scripts.get(name, 'exit 1')}\n")
        (path / name).chmod(0o755)
    return subprocess.run(
        ["make", target],
        cwd=ROOT,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_makefile_searches_for_the_browsers_that_the_tests_use() -> None:
    """One that only one of them knows would be installed twice, or not be found."""
    names = re.search(r"^\t@for name in (.*); do", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert names
    assert tuple(names[1].split()) == PROGRAMS


@each_target
def test_a_program_that_is_installed_is_used(
    tmp_path: Path, target: str, program: str, package: str
) -> None:
    """Nothing is installed beside it."""
    assert make(target, tmp_path, 0, program, "apt-get").returncode == 0
    assert not (tmp_path / "installed").exists()


@each_target
def test_root_gets_the_package_of_debian(
    tmp_path: Path, target: str, program: str, package: str
) -> None:
    """A container has no other user."""
    assert make(target, tmp_path, 0, "apt-get").returncode == 0
    assert (tmp_path / "installed").read_text().splitlines() == [
        "update -qq",
        f"install -y -qq --no-install-recommends {package}",
    ]


@each_target
def test_other_users_get_the_command_to_install_it(
    tmp_path: Path, target: str, program: str, package: str
) -> None:
    """Nothing is installed without being asked for, and a missing program fails the run."""
    made = make(target, tmp_path, 1000, "apt-get")

    assert made.returncode != 0
    assert f"sudo apt-get install {package}" in made.stderr
    assert not (tmp_path / "installed").exists()
