"""A headless Chromium, driven by Playwright; the one that the system has is used."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

# The Makefile looks for the same names.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# It runs as root in containers, has no display, and shows no dialog.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class ChromiumMissing(Exception):
    """The machine has no Chromium; the message says how to get one."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Runs a browser for as long as the block lasts.

    Raises:
        ChromiumMissing: There is none.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        msg = f"none of {', '.join(PROGRAMS)} is on the path; `make chromium` installs Debian's"
        raise ChromiumMissing(msg)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
