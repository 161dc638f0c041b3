import re
from pathlib import Path

import pytest
from faults.processes import start, start_warm_process
from project.page_script import run_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
ANCHOR = re.compile(r"\]\((?!https?://)([^)#\s]*)#([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

FIRST_LOAD = """
import dlt

dlt.pipeline("first", destination="iceberg", dataset_name="bronze").run([{"id": 1}], table_name="t")
"""


def blocks(page: Path) -> str:
    """The page's Python, as one script."""
    return "\n".join(PYTHON_BLOCK.findall(page.read_text()))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem
)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """What a page shows works as it stands, in a folder where something was loaded before."""
    environment = {
        "FLOE_HOME": str(tmp_path / ".floe"),
        "DLT_DATA_DIR": str(tmp_path / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    start_warm_process()
    script = FIRST_LOAD + blocks(page)
    start(run_page, script, environment=environment, folder=tmp_path).result()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    """Relative links lead to files of the repository."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site name them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_every_anchor_of_a_link_is_a_heading(page: Path) -> None:
    for target, anchor in ANCHOR.findall(page.read_text()):
        linked = page.parent / target if target else page
        if linked.suffix == ".md":
            assert anchor in anchors_of(linked), f"{page.name} links to {target}#{anchor}"
