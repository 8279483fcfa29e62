"""Every page: usable without scripts, by keyboard, and closed to forgeries."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row, hears_keys


def test_everything_works_without_scripts(another: Callable[..., Page], sign_in: SignIn, product: Product) -> None:
    customer = product.post_suspicious()
    page = another(java_script_enabled=False)
    sign_in(page, "analyst")
    alert_row(page, customer).locator("a.row-link").click()
    page.get_by_role("button", name="Claim").click()
    expect(page.get_by_role("button", name="Release")).to_be_visible()
    page.get_by_label("A note for colleagues").fill("asked the **shop**")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator("#desk-notes")).to_contain_text("asked the shop")
    expect(page.locator("#desk-notes strong", has_text="shop")).to_be_visible()
    page.get_by_label("Legitimate", exact=True).check()
    page.get_by_role("button", name="Customer confirmed").click()
    expect(page.locator("#desk .verdict")).to_contain_text("Legitimate")
    page.get_by_role("link", name="Transactions").click()
    page.get_by_label("Payment or entity id").fill(customer)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#transaction-rows tr")).to_have_count(5)
    page.locator("#user-summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator("#user-summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_sign_in_errors_are_readable(page: Page, product: Product, complaints: Complaints) -> None:
    page.goto("/models")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Fmodels$"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").filter(has_text="Enter your e-mail address and your password.")).to_be_visible()
    page.get_by_label("E-mail address").fill("analyst@localhost")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#sign-in-problem")).to_have_text("The e-mail address or the password is not right.")
    expect(page.get_by_label("E-mail address")).to_have_value("analyst@localhost")
    expect(page.get_by_label("Password")).to_be_focused()
    page.get_by_label("Password").fill(product.passwords["analyst@localhost"])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/models$"))


def test_a_forged_form_is_refused_in_words(page: Page, sign_in: SignIn, suspicious: str) -> None:
    sign_in(page, "analyst")
    alert_row(page, suspicious).locator("a.row-link").click()
    expect(page).to_have_url(re.compile("/alerts/"))
    hears_keys(page)  # and htmx its form
    page.evaluate("document.body.setAttribute('hx-headers:inherited', JSON.stringify({'x-csrftoken': 'forged'}))")
    page.get_by_role("button", name="Claim").click()
    expect(page.locator("#alert-region")).to_contain_text("This form is out of date. Reload the page and try again.")
    page.reload()
    expect(page.get_by_role("button", name="Claim")).to_be_visible()


def test_another_sites_form_is_refused(page: Page, sign_in: SignIn, suspicious: str, product: Product) -> None:
    """`localhost` and `127.0.0.1` are two sites to a browser, and SameSite keeps the cookie away."""
    sign_in(page, "analyst")
    path = alert_row(page, suspicious).locator("a.row-link").get_attribute("href")
    elsewhere = product.url.replace("127.0.0.1", "localhost")
    form = f'<form method="post" action="{product.url}{path}/claim"><button>Win</button></form>'
    page.route(f"{elsewhere}/forged", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto(f"{elsewhere}/forged")
    with page.expect_response(re.compile(r"/claim$")) as answer:
        page.get_by_role("button", name="Win").click()
    assert answer.value.status == 403
    page.goto(f"{product.url}{path}")
    expect(page.get_by_role("button", name="Claim")).to_be_visible()


def test_the_list_does_not_move_under_the_hand(
    page: Page, product: Product, sign_in: SignIn, suspicious: str, complaints: Complaints
) -> None:
    sign_in(page, "analyst")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    page.keyboard.press("j")
    held = page.locator("a.row-link").first
    expect(held).to_be_focused()
    customer = product.post_suspicious()
    expect(page.locator("#new-button")).to_be_visible()
    expect(page.locator("#new-words")).to_have_text("1 new alert")
    expect(held).to_be_focused()
    expect(alert_row(page, customer)).to_have_count(0)
    page.locator("#new-button").click()
    expect(page.locator("#queue-rows tr").first).to_contain_text(customer)
    expect(page.locator("#new-button")).to_be_hidden()


def test_a_colleagues_claim_shows_without_a_reload(
    page: Page, another: Callable[..., Page], product: Product, sign_in: SignIn, complaints: Complaints
) -> None:
    customer = product.post_suspicious()
    sign_in(page, "analyst")
    row = alert_row(page, customer)
    row.locator("a.row-link").focus()
    colleague = sign_in(another(), "lead")
    alert_row(colleague, customer).locator("a.row-link").click()
    colleague.get_by_role("button", name="Claim").click()
    expect(row).to_contain_text("Lead")
    expect(row).to_contain_text("Claimed")
    expect(row.locator("a.row-link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#desk")).to_contain_text("Lead is working on this")
    colleague.get_by_role("button", name="Release").click()
    page.get_by_role("button", name="A colleague changed this alert").click()
    expect(page.get_by_role("button", name="Claim")).to_be_visible()


def test_signing_out_elsewhere_ends_a_live_page(page: Page, sign_in: SignIn, context: BrowserContext) -> None:
    sign_in(page, "analyst")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    tab = context.new_page()
    tab.goto("/transactions")
    tab.locator("#user-summary").click()
    tab.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"), timeout=40_000)  # at the stream's next tick


def test_the_shortcuts_can_be_switched_off(page: Page, sign_in: SignIn, complaints: Complaints) -> None:
    sign_in(page, "analyst")
    hears_keys(page)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    with page.expect_response(re.compile("/settings/keys")):
        dialog.get_by_label("Single-key shortcuts are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()
    page.reload()
    hears_keys(page)
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()
    page.locator("#keys-button").click()  # by mouse the map stays within reach
    with page.expect_response(re.compile("/settings/keys")):
        dialog.get_by_label("Single-key shortcuts are on").check()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(dialog).to_be_visible()


def test_the_chosen_theme_is_there_before_any_script(
    browser: Browser, browser_context_args: dict[str, Any], page: Page, sign_in: SignIn, context: BrowserContext
) -> None:
    sign_in(page, "analyst")
    page.locator("#user-summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    state = context.storage_state()
    plain = browser.new_context(**{**browser_context_args, "java_script_enabled": False, "storage_state": state})
    again = plain.new_page()
    again.goto("/queue")
    expect(again.locator("html")).to_have_attribute("data-theme", "dark")
    plain.close()


def test_a_saved_note_leaves_an_empty_field(
    page: Page, sign_in: SignIn, product: Product, complaints: Complaints
) -> None:
    customer = product.post_suspicious()
    sign_in(page, "analyst")
    alert_row(page, customer).locator("a.row-link").click()
    field = page.get_by_label("A note for colleagues")
    field.fill("- **one**")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator("#desk-notes li li strong")).to_have_text("one")
    expect(field).to_have_value("")
