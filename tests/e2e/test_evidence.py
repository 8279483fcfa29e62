"""The alert page's evidence in the browser: what is normal, the timeline, links, and a what-if answered by the running scorer."""

import re
from collections.abc import Callable
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row
from tests.e2e.sweep import axe, unfold

FOLD = 900


def open_alert(page: Page, customer: str) -> None:
    alert_row(page, customer).locator("a.row-link").click()
    expect(page.get_by_role("heading", name="What is normal for this customer")).to_be_visible()


def test_the_evidence_is_on_one_screen_and_answers_questions(
    page: Page, sign_in: SignIn, product: Product, complaints: Complaints
) -> None:
    customer = product.post_suspicious()
    sign_in(page, "analyst")
    open_alert(page, customer)
    for title in ("facts-title", "why-title", "normal-title", "desk-title"):
        box = page.locator(f"#{title}").bounding_box()
        assert box is not None
        assert box["y"] < FOLD, title
    normal = page.locator("#normal")
    expect(normal).to_contain_text("all 4 payments before this one")
    expect(normal).to_contain_text("This one is above all 4 of them.")
    expect(normal.get_by_role("row", name=re.compile("^Device"))).to_contain_text("Never before")
    mark, band = normal.locator(".strip path.mark").bounding_box(), normal.locator(".strip .band").bounding_box()
    assert mark is not None
    assert band is not None
    assert mark["x"] > band["x"] + band["width"], "the mark stands beyond what is usual"

    expect(page.locator("#timeline tbody tr")).to_have_count(5)
    page.get_by_role("link", name="24 hours").click()
    expect(page.locator("#timeline tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"range=24h"))
    page.reload()
    expect(page.locator("#range-24h")).to_have_attribute("aria-current", "true")

    page.get_by_role("link", name="Try a change").click()
    before = page.locator("#what-if tbody tr").first
    expect(before).to_contain_text("Review")
    page.get_by_label("Amount (EUR)").fill("12.50")
    page.get_by_role("button", name="See what it would be").click()
    expect(page.locator("#what-if tbody tr").filter(has_text="As changed")).to_be_visible()
    expect(page.locator("#what-if-moved")).to_contain_text("features moved with the change")
    expect(page.locator("#desk-history")).not_to_contain_text("what")
    page.get_by_label("Amount (EUR)").fill("a lot")
    page.get_by_role("button", name="See what it would be").click()
    expect(page.locator("#what-if")).to_contain_text("“a lot” is not an amount")
    expect(page.get_by_label("Amount (EUR)")).to_have_value("a lot")

    unfold(page)
    page.evaluate("scrollTo(0, 0)")
    assert axe(page)[1] == []


def test_linked_alerts_are_reached_through_the_picture_and_all_of_it_without_scripts(
    page: Page, another: Callable[..., Page], sign_in: SignIn, product: Product
) -> None:
    customer = product.post_suspicious()
    for amount in ("1490.00", "1500.00"):  # a rule asks for a review of each: far above the usual, on a new device
        found = product.post(customer_id=customer, amount=amount, device_id=f"dev_{uuid4().hex[:8]}")
        assert found["decision"]["outcome"] != "approve"
    sign_in(page, "analyst")
    open_alert(page, customer)
    expect(page.locator("#links")).to_contain_text(re.compile(r"\d other alerts? share"))
    node = page.locator("#links svg.graph a[href^='/alerts/']").first
    expect(node).to_have_attribute("aria-label", re.compile("Alert: €"))
    target = node.get_attribute("href")
    node.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"{target}$"))

    plain = another(java_script_enabled=False)
    sign_in(plain, "lead")
    plain.goto(str(target))
    plain.get_by_role("link", name="90 days").click()
    expect(plain.locator("#range-90d")).to_have_attribute("aria-current", "true")
    plain.locator("#what-if-open").click()
    plain.get_by_label("Hour (UTC)").select_option("03:00")
    plain.get_by_role("button", name="See what it would be").click()
    expect(plain.locator("#what-if tbody tr").filter(has_text="As changed")).to_be_visible()
    plain.locator("#back").click()
    plain.locator("#record-open").click()
    expect(plain.locator("pre").first).to_contain_text('"transaction_id"')
