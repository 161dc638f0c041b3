"""Take the screenshots of the documentation: `make screenshots`.

Opens tabs of the example's assets and waits for their content. It works in a temporary folder, and
leaves only the screenshots.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, Page, expect
from sources.nyc_flights_demo import filled_home
from ui.chromium import running_chromium
from ui.dagster_dev import running_dagster

from dlt_sources.nyc_flights_demo.simulated_systems.settings import project_root

if TYPE_CHECKING:
    from collections.abc import Callable

FLIGHTS = "/assets/ingestion__nyc_flights__flights"
HISTORY = "/assets/ingestion__nyc_weather_history__weather_history"

_WIDTH, _HEIGHT = 1280, 860
# Animations, such as edges being drawn, have ended by then.
_MILLISECONDS_TO_SETTLE = 1_000
_MILLISECONDS_FOR_AN_ANSWER = 60_000


def asset_overview(page: Page) -> None:
    """A table: its columns, status and owners."""
    page.goto(f"{FLIGHTS}?view=overview")
    for text in ("bronze.flights", "Passing", "operations", "Minutes; negative is early."):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()


def asset_plots(page: Page) -> None:
    """The metadata of the loads over time."""
    page.goto(f"{FLIGHTS}?view=overview")
    button(page, "Plots").click()
    for name in ("bytes_added", "dagster/row_count", "rows_loaded"):
        expect(page.get_by_text(name, exact=True)).to_be_attached()
    expect(page.get_by_text("snapshot_id", exact=True)).to_have_count(0)
    page.get_by_text("Metadata", exact=True).first.evaluate("it => it.scrollIntoView()")


def asset_partitions(page: Page) -> None:
    """The months of the weather; the last ones are missing."""
    page.goto(f"{HISTORY}?view=partitions&partition=2013-01-01")
    for text in ("rows_in_range", "bronze.weather_history"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()


def asset_lineage(page: Page) -> None:
    """The tables derived from a table."""
    page.goto(f"{FLIGHTS}?view=lineage")
    expect(page.get_by_text("Observed", exact=True)).to_be_visible()


def broken_contract(page: Page) -> None:
    """A failed check that kept rows from being published."""
    # In another thread, because Playwright runs an asyncio loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(filled_home.break_the_contract).result()
    page.goto(f"{FLIGHTS}?view=checks")
    page.get_by_text("schema_contract", exact=True).first.click()
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    expect(page.get_by_text("gate").first).to_be_visible()


PICTURES: tuple[Callable[[Page], None], ...] = (
    asset_overview,
    asset_plots,
    asset_partitions,
    asset_lineage,
    # The last one, because it fails a load.
    broken_contract,
)


def button(page: Page, text: str) -> Locator:
    return page.get_by_role("button").filter(has=page.get_by_text(text, exact=True)).first


def take_pictures(folder: Path, months: int) -> list[Path]:
    """Load some months in a temporary FLOE_HOME, and take all screenshots.

    Args:
        folder: Folder of the screenshots.
        months: Number of months to land.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    with tempfile.TemporaryDirectory(prefix="floe-screenshots-") as home:
        os.environ["FLOE_HOME"] = home
        with filled_home.serving_systems() as environment:
            filled_home.load_months(months)
            workspace, instance = project_root() / "workspace.yaml", Path(home, "dagster")
            location = {**environment, "FLOE_HOME": home}
            with (
                running_dagster(instance, workspace, location) as dagster,
                running_chromium() as browser,
            ):
                context = browser.new_context(
                    base_url=dagster.url, viewport={"width": _WIDTH, "height": _HEIGHT}
                )
                context.set_default_timeout(_MILLISECONDS_FOR_AN_ANSWER)
                expect.set_options(timeout=_MILLISECONDS_FOR_AN_ANSWER)
                page = context.new_page()
                for show in PICTURES:
                    show(page)
                    page.wait_for_timeout(_MILLISECONDS_TO_SETTLE)
                    taken.append(folder / f"{show.__name__.replace('_', '-')}.png")
                    page.screenshot(path=taken[-1])
    return taken


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the screenshots")
    parser.add_argument("--months", type=int, default=12, help="number of months to land")
    options = parser.parse_args()
    for picture in take_pictures(options.folder, options.months):
        print(f"{picture}  {picture.stat().st_size // 1000} kB")
