"""What `make remove-example` runs: takes the worked example out of a copy of the repository.

Its folders go, the tests that run it, and in other files what stands between two marks. Of such a
part, lines that begin with `#: ` stay, without that: what takes the example's place.
"""

import re
import shutil
import sys
from pathlib import Path

_NAME = "nyc_flights"
_FOLDERS = (
    f"floe_ingestion_defs/defs/{_NAME}",
    f"tests/sources/{_NAME}",
    f"dlt_sources/{_NAME}",
)
_MARKED = (
    ".env.example",
    "Makefile",
    "README.md",
    "deploy/.env.example",
    "deploy/docker-compose.yaml",
    "pyproject.toml",
)
_PART = re.compile(
    r"^[^\n]*worked example begins[^\n]*\n(?P<inside>.*?)^[^\n]*worked example ends[^\n]*\n",
    re.MULTILINE | re.DOTALL,
)
_STAYS = re.compile(r"^[ \t]*#: ?(?P<line>.*\n)", re.MULTILINE)
_MENTION = re.compile("nyc", re.IGNORECASE)
_TEXTS = {".cfg", ".example", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}


def remove_example(root: Path) -> list[Path]:
    """Remove the worked example from a project.

    Args:
        root: Folder of the project.

    Returns:
        The files that still mention it, for a person to decide about.

    Raises:
        FileNotFoundError: The example is not there; nothing was changed.
    """
    for folder in _FOLDERS:
        if not (root / folder).is_dir():
            msg = f"{root / folder} does not exist: was the example removed already?"
            raise FileNotFoundError(msg)
    for folder in _FOLDERS:
        shutil.rmtree(root / folder)
    for test in sorted((root / "tests").rglob("test_*.py")):
        if _NAME in test.read_text(encoding="utf-8"):
            test.unlink()
    for name in _MARKED:
        path = root / name
        text = path.read_text(encoding="utf-8")
        path.write_text(_PART.sub(_keep_what_stays, text), encoding="utf-8")
    return [path for path in _list_texts(root) if _MENTION.search(path.read_text("utf-8"))]


def _keep_what_stays(part: re.Match[str]) -> str:
    return "".join(match["line"] for match in _STAYS.finditer(part["inside"]))


def _list_texts(root: Path) -> list[Path]:
    """List what a person wrote: no folder that begins with a dot but for the workflows."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix in _TEXTS
        and path.is_file()
        and all(
            part == ".github" or not part.startswith((".", "__"))
            for part in path.relative_to(root).parts[:-1]
        )
    )


def main() -> int:
    """Remove the example from the project in the working directory, and say what is left."""
    root = Path.cwd()
    try:
        left = remove_example(root)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("The example, its tests and its targets of make are gone. git shows what changed.")
    if left:
        print("\nThese mention it still, which harms nothing; they are yours to write anew:")
        for path in left:
            print(f"  {path.relative_to(root)}")
    print("\nNext: make new-source NAME=shop")
    return 0


if __name__ == "__main__":
    sys.exit(main())
