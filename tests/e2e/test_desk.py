"""An analyst's work at the desk: taking, deciding, undoing, handing over, and what happens when two reach for the same alert."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row


def opened(page: Page, customer: str) -> str:
    """Opens the customer's alert from the queue; its address."""
    page.goto("/queue")
    alert_row(page, customer).locator("a.row-link").click()
    expect(page.locator("#decide-form")).to_be_visible()
    return page.url


def decide(page: Page, label: str, reason: str) -> None:
    page.get_by_label(label, exact=True).check()
    page.get_by_role("button", name=reason).click()


def test_deciding_undoing_and_going_on(page: Page, product: Product, sign_in: SignIn, complaints: Complaints) -> None:
    customer = product.post_suspicious()
    sign_in(page, "analyst")
    address = opened(page, customer)
    expect(page.get_by_role("button", name="Stolen card")).to_be_hidden()
    page.get_by_label("Note (optional)").fill("Rang the customer.")
    decide(page, "Fraud", "Stolen card")
    toast = page.locator("#undo-toast")
    expect(toast).to_contain_text("€1,480.00 closed: Fraud, stolen card")
    expect(toast.locator("[data-seconds]")).to_have_text(re.compile(r"^[1-9] s$"))
    expect(page.locator("#status-region")).to_contain_text("Undo")
    expect(page.locator("#undo-history")).to_be_visible()
    page.locator("#undo-history").click()
    expect(page.locator("#lease")).to_contain_text(re.compile(r"Yours for 1[45]:\d\d"))
    expect(page.locator("#desk-history")).to_contain_text("took the decision back (fraud)")
    expect(page.locator("#undo-toast")).to_have_count(0)
    expect(page.locator("#desk-labels")).to_have_count(0)
    expect(page.locator("#desk-notes")).to_contain_text("Rang the customer.")

    product.post_suspicious()
    page.get_by_label("Then take the next alert").check()
    decide(page, "Legitimate", "Customer confirmed")
    page.wait_for_url(lambda url: url != address)
    expect(page.locator("#lease")).to_be_visible()
    expect(page.get_by_label("Then take the next alert")).to_be_checked()
    expect(page.locator("#undo-toast")).to_contain_text("€1,480.00 closed: Legitimate, customer confirmed")
    page.locator("#undo").click()
    page.wait_for_url(address)
    expect(page.locator("#lease")).to_be_visible()


def test_two_analysts_at_one_alert(
    page: Page, another: Callable[[], Page], product: Product, sign_in: SignIn, complaints: Complaints
) -> None:
    customer, colleague = product.post_suspicious(), another()
    complaints.watch(colleague.context)
    sign_in(page, "analyst")
    sign_in(colleague, "lead")
    address = opened(page, customer)
    colleague.goto(address)

    # Both are looking; the colleague is faster.
    colleague.locator("#claim").click()
    expect(colleague.locator("#lease")).to_be_visible()
    page.get_by_label("Note (optional)").fill("Half a thought")
    with page.expect_response(re.compile(r"/decide$")) as answer:
        decide(page, "Fraud", "Account takeover")
    assert answer.value.status == 409
    expect(page.locator("#desk-problem")).to_contain_text(re.compile(r"claimed the alert just now"))
    expect(page.locator("#note-body")).to_have_value("Half a thought")

    colleague.locator("#hand-over-open").click()
    colleague.locator("#hand-over-to").select_option(label="Analyst (analyst@localhost)")
    colleague.get_by_label("Note for them (optional)").fill("You know this shop.")
    colleague.locator("#hand-over-do").click()
    expect(colleague.locator("#desk-state")).to_contain_text("is working on this")
    page.reload()
    expect(page.locator("#lease")).to_contain_text(re.compile(r"Yours for [78]:\d\d:\d\d"))
    expect(page.locator("#desk-notes")).to_contain_text("You know this shop.")

    page.locator("#claim").click()
    expect(page.locator("#claim")).to_have_text("Claim")


def test_a_claim_is_kept_while_somebody_works_and_looked_after_when_it_runs_out(
    page: Page, product: Product, sign_in: SignIn, complaints: Complaints
) -> None:
    customer = product.post_suspicious()
    sign_in(page, "analyst")
    opened(page, customer)
    page.clock.install()
    page.reload()
    page.locator("#claim").click()
    left = page.locator("#lease-left")
    expect(left).to_have_text(re.compile(r"^1[45]:\d\d$"))
    with page.expect_response(re.compile(r"/keep$")) as answer:
        page.clock.run_for(62_000)
    assert answer.value.status == 200
    expect(left).to_have_text(re.compile(r"^1[45]:\d\d$"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.clock.run_for(130_000)
    assert "keep" not in asked, "kept for an empty chair"
    expect(left).to_have_text(re.compile(r"^12:\d\d$"))
    page.mouse.move(300, 300)
    with page.expect_response(re.compile(r"/keep$")):
        page.clock.run_for(2_000)
    expect(left).to_have_text(re.compile(r"^1[45]:\d\d$"))
    # A laptop that slept: the page asks for the alert's state instead of trusting its clock.
    with page.expect_response(re.compile(r"/alerts/[0-9a-f-]+$")) as fresh:
        page.clock.fast_forward("16:00")
        page.clock.run_for(3_000)
    assert fresh.value.status == 200
    expect(left).to_have_text(re.compile(r"^1[45]:\d\d$"))


def test_many_at_once(page: Page, product: Product, sign_in: SignIn, complaints: Complaints) -> None:
    customers = [product.post_suspicious() for _ in range(3)]
    sign_in(page, "analyst")
    opened(page, customers[0])
    decide(page, "Unsure", "Not enough to tell")
    expect(page.locator("#undo-toast")).to_be_visible()
    page.goto("/queue?status=any")
    for customer in customers:
        alert_row(page, customer).locator(".pick input").check()
    page.locator("#bulk-decide").click()
    expect(page.get_by_role("heading", name="Close 2 alerts")).to_be_visible()
    expect(page.locator(".bulk-sums")).to_contain_text("€2,960.00")
    expect(page.locator("#bulk-not")).to_have_text("Left as they are 1")
    page.get_by_label("Note at each of them (optional)").fill("One wave.")
    decide(page, "Fraud", "Card testing")
    expect(page.locator("#bulk-said")).to_have_text("2 alerts were closed.")
    expect(page.locator("#undo-toast")).to_contain_text("2 alerts closed: Fraud, card testing")
    page.locator("#undo").click()
    expect(page.locator("#bulk-said")).to_have_text("2 decisions were taken back; the alerts are yours.")
    page.locator("#bulk-back").click()
    expect(alert_row(page, customers[1])).to_contain_text("Claimed")
