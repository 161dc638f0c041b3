"""The commands that a page shows in its `console` blocks, as one shell would get them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def read_commands(page: Path) -> tuple[list[str], list[str]]:
    """The commands in their order, and the lines that the page says they answer.

    A command begins with `$ ` and continues in lines that begin with `> `, as in a terminal.
    """
    commands: list[str] = []
    answers: list[str] = []
    for block in _BLOCK.findall(page.read_text()):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(line[2:])
            elif line.startswith("> "):
                commands[-1] += f"\n{line[2:]}"
            else:
                answers.append(line)
    return commands, answers
