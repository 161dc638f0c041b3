import re
import shutil
import subprocess
from pathlib import Path

from ui.chromium import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]


def make_chromium(path: Path, user_id: int, *programs: str) -> subprocess.CompletedProcess[str]:
    """Runs the target where only the given programs are installed; apt-get notes its arguments."""
    for name in ("bash", "make"):
        (path / name).symlink_to(shutil.which(name) or name)
    scripts = {"id": f"echo {user_id}", "apt-get": f'echo "$@" >> {path}/installed'}
    for name in ("id", *programs):
        (path / name).write_text(f"#!{path}/bash\n{scripts.get(name, 'exit 1')}\n")
        (path / name).chmod(0o755)
    return subprocess.run(
        ["make", "chromium"],
        cwd=ROOT,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_makefile_looks_for_the_browsers_that_the_tests_use() -> None:
    """One that only one of them knows would be installed twice, or not be found."""
    names = re.search(r"^\t@for name in (.*); do", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert names
    assert tuple(names[1].split()) == PROGRAMS


def test_a_browser_that_is_there_is_used(tmp_path: Path) -> None:
    """Whichever it is, nothing is installed."""
    assert make_chromium(tmp_path, 0, "google-chrome", "apt-get").returncode == 0
    assert not (tmp_path / "installed").exists()


def test_root_gets_the_chromium_of_debian(tmp_path: Path) -> None:
    """In a container nobody would do it otherwise."""
    assert make_chromium(tmp_path, 0, "apt-get").returncode == 0
    assert (tmp_path / "installed").read_text().splitlines() == [
        "update -qq",
        "install -y -qq --no-install-recommends chromium",
    ]


def test_everybody_else_is_told_what_to_install(tmp_path: Path) -> None:
    """Nothing is installed behind anybody's back, and a missing browser fails the run."""
    made = make_chromium(tmp_path, 1000, "apt-get")

    assert made.returncode != 0
    assert "sudo apt-get install chromium" in made.stderr
    assert not (tmp_path / "installed").exists()
