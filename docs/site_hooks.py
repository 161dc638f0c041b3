"""What mkdocs.yml cannot express: mkdocs calls these functions while it builds the site."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

_ROOT = Path(__file__).resolve().parents[1]
# A relative link's target, as it stands between the parentheses.
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the repository, and replace each folder of the navigation by its pages."""
    config.repo_url = _repository()
    config.repo_name = "Repository"
    config.edit_uri = None
    config.nav = [_with_pages(entry, Path(config.docs_dir)) for entry in config.nav or []]
    return config


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point the links that leave docs/ at the repository, where they work as they do on GitHub."""
    source = Path(page.file.abs_src_path or "")
    docs = _ROOT / "docs"

    def target(link: re.Match[str]) -> str:
        file = (source.parent / link["path"]).resolve()
        if file.is_relative_to(docs) or not file.exists():
            return link[0]
        kind = "tree" if file.is_dir() else "blob"
        path = file.relative_to(_ROOT).as_posix()
        return f"{_repository()}/{kind}/main/{path}{link['anchor'] or ''}"

    return _LINK.sub(target, markdown)


def _repository() -> str:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    return str(project["urls"]["Repository"])


def _with_pages(entry: Any, docs: Path) -> Any:
    """Return an entry of the navigation; `title: folder/` becomes the pages below that folder."""
    if isinstance(entry, dict):
        ((title, folder),) = entry.items()
        if isinstance(folder, str) and folder.endswith("/"):
            return {title: _pages(docs / folder, docs)}
    return entry


def _pages(folder: Path, docs: Path) -> list[Any]:
    """Return the pages of a folder by name, index.md first, and then its folders."""
    pages: list[Any] = sorted(
        (page.relative_to(docs).as_posix() for page in folder.glob("*.md")),
        key=lambda page: (not page.endswith("/index.md"), page),
    )
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    return pages + [{f.name.replace("-", " ").capitalize(): _pages(f, docs)} for f in folders]
