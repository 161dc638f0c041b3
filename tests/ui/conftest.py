"""The page that the tests look at, and a picture of it where one fails."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

from ui import shop
from ui.chromium import running_chromium
from ui.dagster_dev import running_dagster

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# Where CI collects the pictures of failed tests; outside of the repository in any case.
ARTIFACTS = Path(os.environ.get("UI_ARTIFACTS") or tempfile.gettempdir(), "floe-ingestion-ui")
_MILLISECONDS_FOR_AN_ANSWER = 60_000
_TABLES = {
    "shop": """
        create table orders (id integer, total real, updated_at text);
        insert into orders values
            (1, 9.5, '2026-01-01'), (2, 20.0, '2026-01-02'), (3, 7.25, '2026-01-03');
        """,
    "stock": "create table parts (id integer, name text); insert into parts values (1, 'bolt');",
}


@dataclass(frozen=True)
class Shop:
    """What is behind the pages.

    Attributes:
        url: Where the UI is.
        folder: Where the databases are.
        environment: What the code location finds in its environment.
    """

    url: str
    folder: Path
    environment: dict[str, str]

    def execute(self, database: str, script: str) -> None:
        """Changes one of the sources."""
        with sqlite3.connect(self.folder / f"{database}.db") as connection:
            connection.executescript(script)


@pytest.fixture(scope="module")
def opened_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    home = tmp_path_factory.mktemp("dagster_home")
    environment = {"FLOE_HOME": str(folder / "floe")} | {
        f"{name.upper()}_DATABASE": f"sqlite:///{folder / name}.db" for name in _TABLES
    }
    behind = Shop("", folder, environment)
    for name, script in _TABLES.items():
        behind.execute(name, script)
    with running_dagster(home, Path(shop.__file__), environment) as dagster:
        yield Shop(dagster.url, folder, environment)


# For a module and not for the session: while Playwright runs, no asyncio loop can be started in
# this process, and other tests do that.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, opened_shop: Shop, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of the shop's UI; what it shows when its test fails is kept as a picture."""
    context = chromium.new_context(
        base_url=opened_shop.url, viewport={"width": 1440, "height": 900}
    )
    context.set_default_timeout(_MILLISECONDS_FOR_AN_ANSWER)
    expect.set_options(timeout=_MILLISECONDS_FOR_AN_ANSWER)
    page = context.new_page()
    yield page
    if request.node.stash.get(_FAILED, False):
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{request.node.name}.png", full_page=True)
    context.close()


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        item.stash[_FAILED] = True
        picture = ARTIFACTS / f"{item.name}.png"
        report.sections.append(("What the page showed", str(picture)))
    return report
