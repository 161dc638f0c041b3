"""What a person does and sees in the UI, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect

from floe_ingestion_defs.destinations import open_catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

    from ui.conftest import Shop

ORDERS = "ingestion__shop__orders"
SCHEDULE = "ingestion__stock_schedule"

# A run starts Python and imports Dagster, dlt and pyiceberg, on a machine that has more to do.
_MILLISECONDS_FOR_A_RUN = 120_000
# The schedule is one of every minute, and the daemon goes its rounds.
_MILLISECONDS_FOR_A_TICK = 120_000


@pytest.fixture
def catalog(opened_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.setenv("FLOE_HOME", opened_shop.environment["FLOE_HOME"])
    return open_catalog()


def test_a_source_is_materialized_from_the_asset_graph(page: Page, catalog: Catalog) -> None:
    """The run succeeds, the checks pass, and the asset shows what was loaded."""
    page.goto("/asset-groups")
    graph = page.locator("svg foreignObject")
    graph.get_by_text("shop", exact=True).click()
    graph.get_by_text(ORDERS, exact=True).click()
    button(page, "Materialize selected").click()
    expect_the_run_to_end(page, "Success")

    page.goto(f"/assets/{ORDERS}?view=overview")
    for text in (
        "What customers ordered.",
        "bronze.shop_orders",
        "Euros, with tax.",
        "rows_loaded",
    ):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    expect(metadata_of(page, "rows_loaded")).to_have_text("3")
    button(page, "Plots").click()
    expect(page.get_by_text("bytes_added", exact=True)).to_be_visible()
    expect(page.get_by_text("snapshot_id", exact=True)).to_have_count(0)
    for check, finding in (
        # The UI renders descriptions as Markdown.
        ("not_null", "Every row has a value in id."),
        (
            "schema_contract",
            "The columns and types of bronze.shop_orders match the schema contract.",
        ),
        ("unique_key", "No duplicate values in key id."),
    ):
        expect_check(page, check, "Passed", finding)
    assert read_orders(catalog)["id"].to_pylist() == [1, 2, 3]


def test_a_broken_contract_is_shown_and_nothing_is_published(
    page: Page, catalog: Catalog, opened_shop: Shop
) -> None:
    """The run fails, the check is red and names the column, and the table is as it was."""
    page.goto(f"/assets/{ORDERS}")
    if not catalog.table_exists("bronze.shop_orders"):
        button(page, "Materialize").click()
        expect_the_run_to_end(page, "Success")
        page.goto(f"/assets/{ORDERS}")
    before = read_orders(catalog)
    opened_shop.execute(
        "shop",
        """
        alter table orders add column coupon text;
        insert into orders values (4, 1.0, '2026-01-04', 'SPRING');
        """,
    )

    button(page, "Materialize").click()
    expect_the_run_to_end(page, "Failure")
    expect(page.get_by_text("coupon").first).to_be_visible()
    expect_check(page, "schema_contract", "Failed", "coupon")
    assert read_orders(catalog) == before


def test_a_schedule_that_is_turned_on_launches_runs(page: Page) -> None:
    """It is off at first, for nothing is loaded before the operator turns it on."""
    page.goto("/automation")
    page.get_by_role("link").filter(has_text=SCHEDULE).first.click()
    running = page.get_by_role("row").filter(has_text="Running")
    expect(running.get_by_role("checkbox")).not_to_be_checked()
    running.locator("label").click()
    expect(running.get_by_role("checkbox")).to_be_checked()
    tick = page.get_by_role("row").filter(has_text="Latest tick")
    expect(tick).to_contain_text("1 run requested", timeout=_MILLISECONDS_FOR_A_TICK)


def button(page: Page, text: str) -> Locator:
    """The button with a text; Dagster's buttons have icons in their accessible names."""
    return page.get_by_role("button").filter(has=page.get_by_text(text, exact=True)).first


def expect_the_run_to_end(page: Page, status: str) -> None:
    """Opens the run that was just launched, and waits for its end."""
    page.get_by_text("View", exact=True).click()
    page.wait_for_url("**/runs/*")
    ended = page.get_by_text(status, exact=True).first
    expect(ended).to_be_visible(timeout=_MILLISECONDS_FOR_A_RUN)


def metadata_of(page: Page, name: str) -> Locator:
    """The value in the table of the asset's metadata."""
    row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))
    return row.get_by_role("cell").last


def expect_check(page: Page, name: str, result: str, finding: str) -> None:
    """Opens a check, and looks at its result and at what it found."""
    page.goto(f"/assets/{ORDERS}?view=checks")
    page.get_by_text(name, exact=True).first.click()
    expect(page.get_by_text(finding).first).to_be_visible()
    expect(page.get_by_text(result, exact=True).first).to_be_visible()


def read_orders(catalog: Catalog) -> pa.Table:
    return catalog.load_table("bronze.shop_orders").scan().to_arrow().sort_by("id")
