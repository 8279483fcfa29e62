"""From a reason to the payments behind it, and to alerts raised for similar reasons, in the browser."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row
from tests.e2e.sweep import axe

BUSY = 12
"""So that there are payments behind a reason, whatever else the model finds."""


def a_reason_with_payments(page: Page) -> Locator:
    """Its link, unfolded: the strongest reasons may be this payment's own affair."""
    for fold in page.locator("details.more-reasons > summary").all():
        fold.click()
    return page.locator("a[id^='why-'][hx-get]").first


def test_a_reason_opens_the_payments_behind_it_in_place(
    page: Page, sign_in: SignIn, product: Product, complaints: Complaints
) -> None:
    customer = product.post_suspicious(minutes_before=BUSY)
    sign_in(page, "analyst")
    alert_row(page, customer).locator("a.row-link").click()
    expect(page.locator("#similar table, #similar p.faint").first).to_be_visible()
    opener = a_reason_with_payments(page)
    code = opener.get_attribute("hx-target")
    assert code
    opener.click()
    shown = page.locator(code)
    # Which reason comes first is the model's to say: its rows are payments, or labels that had arrived.
    expect(shown.locator("p").first).to_contain_text(re.compile("payment|fraud|genuine|label"))
    expect(shown.locator("tbody tr").first).to_be_visible()
    expect(page).to_have_url(re.compile("/alerts/"))
    page.evaluate("scrollTo(0, 0)")  # a link half under the sticky header would count as a small one
    assert axe(page)[1] == []
    assert complaints == []


def test_both_are_pages_of_their_own_without_scripts(
    another: Callable[..., Page], sign_in: SignIn, product: Product
) -> None:
    customer = product.post_suspicious(minutes_before=BUSY)
    page = another(java_script_enabled=False)
    sign_in(page, "analyst")
    alert_row(page, customer).locator("a.row-link").click()
    a_reason_with_payments(page).click()
    expect(page.get_by_role("heading", name="Payments behind a reason")).to_be_visible()
    page.locator("#back").click()
    page.locator("#similar-open").click()
    expect(page.get_by_role("heading", name="Similar past alerts")).to_be_visible()
