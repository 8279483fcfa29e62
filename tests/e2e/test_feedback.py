"""What the console says while somebody waits, before a session ends, and where a part of a page has an address of its own."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row, hears_keys, until

_BAR = "getComputedStyle(document.querySelector('.top'), '::after').visibility"


def test_what_was_asked_for_and_takes_long_is_seen_on_its_way(
    page: Page, sign_in: SignIn, product: Product, complaints: Complaints
) -> None:
    customer = product.post_suspicious()
    sign_in(page, "analyst")
    alert_row(page, customer).locator("a.row-link").click()
    hears_keys(page)
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    assert page.evaluate(_BAR) == "hidden", "the live stream is nothing that one waits for"
    waiting: list[Route] = []
    page.route(re.compile(r"/timeline\?"), lambda route: waiting.append(route))
    page.get_by_role("link", name="90 days").click()
    expect(page.locator("#timeline")).to_have_attribute("aria-busy", "true")
    until(lambda: page.evaluate(_BAR) == "visible", "the bar")
    assert len(waiting) == 1
    waiting[0].continue_()
    expect(page.locator("#timeline")).not_to_have_attribute("aria-busy", "true")
    assert page.evaluate(_BAR) == "hidden"
    expect(page).to_have_title(re.compile("· 90 days ·"))
    expect(page).to_have_url(re.compile("range=90d"))
    expect(page.locator("#range-90d")).to_be_focused()
    page.reload()
    expect(page).to_have_title(re.compile("· 90 days ·"))


def test_a_session_is_kept_by_a_button_before_it_ends(
    another: Callable[..., Page], sign_in: SignIn, complaints: Complaints
) -> None:
    page = another()
    complaints.watch(page.context)
    page.clock.install()
    sign_in(page, "analyst")
    page.goto("/settings")
    hears_keys(page)
    note, stay = page.locator("#session-note"), page.get_by_role("button", name="Stay signed in")
    expect(note).to_be_hidden()
    page.clock.fast_forward("56:00")
    expect(note).to_contain_text("signed out in 4 min")
    expect(page.locator("#status-region")).to_contain_text("signed out in 4 min")
    stay.click()
    expect(note).to_be_hidden()
    page.clock.fast_forward("56:00")
    expect(stay).to_be_visible()
    page.clock.fast_forward("05:00")
    expect(note).to_contain_text("You have been signed out")
    expect(stay).to_be_hidden()
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
