"""Reads a Dockerfile's steps, and takes them in a folder instead of an image."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import venv
from dataclasses import dataclass, field
from pathlib import Path

Step = tuple[str, str]


def read_steps(dockerfile: Path) -> list[Step]:
    """The instructions in their order, each with what stands after it; comments left out."""
    lines = [
        line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    text = "\n".join(lines).replace("\\\n", " ")
    steps = [line.strip().split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in steps]


def exec_form(value: str) -> list[str]:
    """The words of an instruction that is written as a list, so that no shell stands between."""
    words: list[str] = json.loads(value)
    return words


@dataclass
class Image:
    """A folder that stands for an image's root, with a Python of its own as the base image.

    Absolute paths lead below the folder. Users cannot be played in it, so `useradd`, `chown` and
    `USER` are only noted.

    Attributes:
        root: The folder.
        context: Where `COPY` copies from.
        offline: Arguments that let pip install without fetching; empty for a whole install.
    """

    root: Path
    context: Path
    offline: tuple[str, ...] = ()
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        venv.create(self.root / "usr", with_pip=not self.offline, symlinks=True)

    @property
    def bin(self) -> Path:
        """Where the image's programs are."""
        return self.root / "usr" / "bin"

    def place(self, path: str) -> Path:
        """Where a path of the image is on this machine."""
        return self.root / str(Path(self.workdir, path)).lstrip("/")

    def take(self, step: Step) -> None:
        """Take one step.

        Raises:
            CalledProcessError: A command of the image failed.
            ValueError: The step is one that this class does not implement.
        """
        name, value = step
        if name == "ENV":
            pairs = (word.partition("=") for word in shlex.split(value))
            self.environment.update((key, text) for key, _, text in pairs)
        elif name == "WORKDIR":
            self.workdir = value
            self.place(".").mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *sources, target = value.split()
            for source in sources:
                self._copy(source, target)
        elif name == "RUN":
            for command in value.split(" && "):
                self._run(shlex.split(command))
        elif name == "USER":
            self.user = value
        elif name == "HEALTHCHECK":
            self.health = exec_form(value.partition("CMD ")[2])
        elif name == "CMD":
            self.command = exec_form(value)
        elif name not in ("FROM", "EXPOSE"):
            msg = f"{name} is not known here"
            raise ValueError(msg)

    def _copy(self, source: str, target: str) -> None:
        place = self.place(target)
        if (self.context / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(self.context / source, place, dirs_exist_ok=True, ignore=ignored)
            return
        if target.endswith("/"):
            place = place / Path(source).name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.context / source, place)

    def _run(self, command: list[str]) -> None:
        program, *arguments = command
        if program in ("useradd", "chown"):
            return
        if program == "mkdir":
            for folder in arguments:
                self.place(folder).mkdir()
            return
        if program != "pip":
            msg = f"{program} is not known here"
            raise ValueError(msg)
        pip = [str(self.bin / "pip")]
        if self.offline:
            pip = ["python", "-m", "pip", "--python", str(self.bin / "python")]
        subprocess.run(
            [*pip, *arguments, *self.offline],
            cwd=self.place("."),
            env={**os.environ, **self.variables()},
            check=True,
        )

    def variables(self) -> dict[str, str]:
        """The image's environment, with its places on this machine."""
        placed = {
            name: str(self.place(value)) if value.startswith("/") else value
            for name, value in self.environment.items()
        }
        return {**placed, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
