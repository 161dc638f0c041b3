"""`make screenshots`: every tab opens and shows the expected content."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "docs" / "images"
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
LARGEST_BYTES = 200_000


@pytest.mark.all_cases
@pytest.mark.timeout(600)
def test_the_screenshots_can_be_taken_again(tmp_path: Path) -> None:
    """With less data; each waits for its content, and fails if that does not appear."""
    command = [
        sys.executable,
        "-m",
        "sources.nyc_flights_demo.screenshots",
        str(tmp_path),
        "--months",
        "4",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    taken = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert taken.returncode == 0, taken.stdout + taken.stderr
    pictures = sorted(tmp_path.glob("*.png"))
    assert [picture.name for picture in pictures] == sorted(p.name for p in IMAGES.iterdir())
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_every_screenshot_is_used_in_a_document_and_is_small() -> None:
    """No unused file, and a small clone."""
    text = "\n".join(page.read_text() for page in PAGES)
    for picture in IMAGES.iterdir():
        assert f"images/{picture.name})" in text
        assert picture.stat().st_size <= LARGEST_BYTES
