"""Whoever sits before it: with any page, in both themes, narrow, by keyboard alone, in another language.

RONDA_AXE_REPORT=docs/accessibility.md has the sweep write down what it found.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e import sweep
from tests.e2e.conftest import Complaints, Product, SignIn, alert_row, hears_keys

NARROW = {"width": 320, "height": 900}
WIDE = {"width": 1440, "height": 900}


def test_no_page_has_an_accessibility_finding_in_either_theme_or_scrolls_sideways(
    another: Callable[..., Page], sign_in: SignIn, suspicious: str, product: Product, complaints: Complaints
) -> None:
    page, stranger = another(), another()
    complaints.watch(page.context)
    complaints.watch(stranger.context)
    sign_in(page, "lead")
    where = sweep.addresses(page, product, suspicious)
    assert where.keys() - {"no such page"} == sweep.paths(), "a page without an address to look at it"
    seen: list[sweep.Seen] = []
    sideways: list[str] = []

    def look(page: Page, path: str, address: str) -> None:
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            seen.append(sweep.Seen(path, theme, *sweep.axe(page)))
        page.set_viewport_size(NARROW)
        width = page.evaluate("document.documentElement.scrollWidth")
        sideways.extend([f"{address}: {width} px wide"] if width > NARROW["width"] else [])
        page.set_viewport_size(WIDE)

    sweep.visit(stranger, {"/sign-in": where["/sign-in"]}, look)
    sweep.visit(page, {path: each for path, each in where.items() if path != "/sign-in"}, look)
    assert [finding for each in seen for finding in each.findings] == []
    assert sideways == []
    report = os.environ.get("RONDA_AXE_REPORT")
    if report:
        sweep.write_report(Path(report), seen)


def test_from_signing_in_to_a_decision_by_keyboard_alone(page: Page, product: Product, complaints: Complaints) -> None:
    customer = product.post_suspicious()
    page.goto("/sign-in")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type("analyst@localhost")
    page.keyboard.press("Tab")
    page.keyboard.type(product.passwords["analyst@localhost"])
    page.keyboard.press("Enter")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    row = alert_row(page, customer).locator("a.row-link")
    for _ in range(60):
        page.keyboard.press("j")
        if row.get_attribute("aria-current"):
            break
    expect(row).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(row).to_be_focused()
    page.keyboard.press("o")
    expect(page).to_have_url(re.compile("/alerts/"))
    hears_keys(page)
    page.keyboard.press("c")
    expect(page.locator("#lease")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#label-fraud")).to_be_checked()
    expect(page.locator(".reasons-fraud button").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#desk .verdict")).to_contain_text("Fraud")
    page.keyboard.press("z")
    expect(page.locator("#lease, #claim").first).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()


def test_the_palette_finds_places_acts_and_ids(
    page: Page, sign_in: SignIn, suspicious: str, complaints: Complaints
) -> None:
    sign_in(page, "analyst")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")  # every script has run
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Find a place")
    expect(field).to_be_focused()
    page.keyboard.type("trans")
    expect(page.locator("#palette").get_by_role("option", selected=True)).to_have_text(re.compile("Transactions"))
    field.fill(suspicious)
    expect(page.get_by_role("option", name=suspicious)).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(suspicious))
    hears_keys(page)
    page.keyboard.press("g")
    page.keyboard.press("m")
    expect(page).to_have_url(re.compile("/models"))
    hears_keys(page)
    page.keyboard.press("/")
    expect(page.locator(":focus")).to_have_attribute("name", "q")
    page.keyboard.type("gq?jk")  # typed, not heard
    expect(page.locator(":focus")).to_have_value("gq?jk")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_language_follows_its_reader(another: Callable[..., Page], sign_in: SignIn, suspicious: str) -> None:
    page = another()
    sign_in(page, "admin")
    page.goto("/settings")
    page.get_by_label("Language").select_option("pt-BR")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.goto("/queue")
    expect(page.get_by_role("heading", name="Fila")).to_be_visible()
    row = page.locator("tr.alert-row", has_text=suspicious).filter(has_text="1.480,00").first
    expect(row).to_contain_text("Aberto")
    page.goto("/settings")
    page.locator("#language").select_option("en")
    page.locator("#save-profile").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
