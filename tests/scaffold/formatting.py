"""Checks generated code with this project's linter and formatter."""

import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "pyproject.toml"


def require_formatted(project: Path, *folders: str) -> None:
    """Run ruff on folders of a generated project, with this project's configuration."""
    for check in (
        ["check", "--config", str(CONFIG)],
        ["format", "--check", "--config", str(CONFIG)],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--no-cache", *folders],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
