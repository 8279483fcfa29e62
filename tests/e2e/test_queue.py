"""The queue in a browser: its view stands in the address, new rows wait behind a bar, views are kept, and it works without scripts."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row
from tests.e2e.sweep import axe


@pytest.fixture(scope="module")
def alerts(product: Product) -> list[str]:
    """Customers with an open alert each."""
    return [product.post_suspicious() for _ in range(3)]


def test_a_view_is_its_address(page: Page, sign_in: SignIn, alerts: list[str], complaints: Complaints) -> None:
    sign_in(page, "analyst")
    page.locator("#filter-summary").click()
    page.locator("#facet-outcome").get_by_label("Review").check()
    page.get_by_label("Amount from").fill("1,000")
    page.locator("#apply").click()
    expect(page).to_have_url(re.compile(r"/queue\?outcome=review&amount_from=1000$"))
    expect(alert_row(page, alerts[0])).to_be_visible()
    page.locator("#sort-loss").click()
    expect(page).to_have_url(re.compile(r"outcome=review&amount_from=1000&order=loss$"))
    expect(page.locator("th.c-loss")).to_have_attribute("aria-sort", "descending")
    page.locator("#column-summary").click()
    page.get_by_label("Merchant").last.uncheck()
    page.locator("#columns-apply").click()
    expect(page.locator("th.c-merchant")).to_be_hidden()
    before = page.locator(".row-link").evaluate_all("links => links.map((link) => link.id)")
    page.reload()
    assert page.locator(".row-link").evaluate_all("links => links.map((link) => link.id)") == before
    expect(page.locator("th.c-merchant")).to_be_hidden()
    page.get_by_role("link", name="Remove the filter Amount from 1,000").click()
    expect(page).to_have_url(re.compile(r"/queue\?outcome=review&order=loss&hide=merchant$"))

    page.get_by_label("Search all alerts").fill(alerts[1][:-2])
    page.keyboard.press("Enter")
    expect(alert_row(page, alerts[1])).to_be_visible()
    expect(alert_row(page, alerts[0])).to_have_count(0)
    page.goto("/queue?outcome=review&customer=nobody")
    expect(page.locator("#queue-empty")).to_contain_text("Without “Customer: nobody” there are")
    page.locator("#widen-1").click()
    expect(page).to_have_url(re.compile(r"/queue\?outcome=review$"))


def test_new_rows_wait_behind_a_bar_that_counts_what_the_view_shows(
    page: Page, product: Product, sign_in: SignIn, alerts: list[str], complaints: Complaints
) -> None:
    sign_in(page, "analyst")
    page.goto("/queue?amount_from=1000&order=loss")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    held = page.locator("a.row-link").first
    held.focus()
    first = page.locator("#queue-rows tr").first.get_attribute("id")
    customer = product.post_suspicious()
    expect(page.locator("#new-words")).to_have_text("1 new alert")
    expect(held).to_be_focused()
    assert page.locator("#queue-rows tr").first.get_attribute("id") == first
    expect(alert_row(page, customer)).to_have_count(0)
    page.locator("#new-button").click()
    expect(alert_row(page, customer)).to_be_visible()
    expect(page.locator("#new-bar")).to_be_hidden()
    number = page.locator("#count-todo").inner_text()
    expect(page).to_have_title(re.compile(rf"^\({re.escape(number)}\) Queue"))

    page.goto("/queue?amount_from=100000")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    product.post_suspicious()
    expect(page.locator("#count-todo")).not_to_have_text(number)
    expect(page.locator("#new-bar")).to_be_hidden()


def test_rows_are_selected_by_range_and_all_at_once(
    page: Page, sign_in: SignIn, alerts: list[str], complaints: Complaints
) -> None:
    sign_in(page, "analyst")
    boxes = page.locator(".pick input")
    expect(page.locator("#bulk")).to_be_hidden()
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(page.locator("#picked-count")).to_have_text("3 selected")
    expect(page.locator("#bulk")).to_be_visible()
    page.locator("#pick-all").check()
    expect(page.locator("#picked-count")).to_have_text(f"{boxes.count()} selected")
    page.locator("#pick-none").click()
    expect(page.locator("#bulk")).to_be_hidden()


def test_a_view_is_kept_and_shared(
    page: Page, another: Callable[..., Page], sign_in: SignIn, alerts: list[str], complaints: Complaints
) -> None:
    sign_in(page, "analyst")
    page.goto("/queue?outcome=review&amount_from=1000&order=amount")
    page.locator("#save-summary").click()
    page.get_by_label("Name of this view").fill("Large reviews")
    page.locator("#save").click()
    expect(page.get_by_role("link", name="Large reviews")).to_have_attribute("aria-current", "true")
    page.locator("#save-summary").click()
    page.locator("#manage-views").click()
    page.get_by_role("button", name="Share with the team").click()
    expect(page.get_by_text("Shared with the team")).to_be_visible()

    lead = sign_in(another(), "lead")
    lead.get_by_role("link", name="Large reviews").click()
    expect(lead).to_have_url(re.compile(r"/queue\?outcome=review&amount_from=1000&order=amount$"))
    lead.goto("/queue/views")
    lead.get_by_role("button", name="Delete").click()
    expect(lead.get_by_role("link", name="Large reviews")).to_have_count(0)


def test_the_queue_works_without_scripts(another: Callable[..., Page], sign_in: SignIn, alerts: list[str]) -> None:
    page = another(java_script_enabled=False)
    sign_in(page, "analyst")
    page.locator("#filter-summary").click()
    page.locator("#facet-band").get_by_label("High", exact=False).first.check()
    page.locator("#order").select_option(label="Due first")
    page.get_by_role("button", name="Show").first.click()
    expect(page).to_have_url(re.compile(r"/queue\?band=.*&order=due$"))
    page.locator("#clear-all").click()
    page.locator("#save-summary").click()
    page.get_by_label("Name of this view").fill("  ")
    page.locator("#save").click()
    expect(page.get_by_role("alert").filter(has_text="A view's name has 1 to 40 characters.")).to_be_visible()
    page.get_by_label("Name of this view").fill("By hand")
    page.locator("#save").click()
    expect(page.get_by_role("link", name="By hand")).to_be_visible()
    expect(page.get_by_role("checkbox", name=re.compile(alerts[0]))).to_be_visible()
    expect(page.locator("#bulk-claim")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 320)])
def test_open_panels_have_no_accessibility_finding(
    another: Callable[..., Page], sign_in: SignIn, alerts: list[str], theme: str, width: int
) -> None:
    page = another(color_scheme=theme, viewport={"width": width, "height": 900})
    sign_in(page, "lead")
    found = []
    for address, panel in (
        ("/queue?outcome=review", "#filter-summary"),
        ("/queue", "#column-summary"),
        ("/queue", "#save-summary"),
        ("/queue/views", "#own-title"),
    ):
        page.goto(address)
        page.locator(panel).click()
        found += [f"{panel}: {each}" for each in axe(page)[1]]
        sideways = page.evaluate("document.documentElement.scrollWidth")
        found += [f"{address}: {sideways} px wide at {width}"] if sideways > width else []
    assert found == []
