"""The whole loop as two people see it: a payment, its alert, a label, a training, its report, a shadow, a promotion, and back."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row, until

TRAINING_MS = 400_000


def test_from_a_payment_to_the_next_models_decision(
    page: Page, another: Callable[[], Page], product: Product, sign_in: SignIn, complaints: Complaints
) -> None:
    sign_in(page, "lead")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    page.evaluate("window.sameDocument = true")

    customer = product.post_suspicious()
    row = alert_row(page, customer)
    expect(row).to_be_visible()
    assert page.evaluate("window.sameDocument"), "the row came with a reload"
    expect(page.locator("#queue-rows tr").first).to_contain_text(customer)
    expect(page).to_have_title(re.compile(r"^\([1-9]\d*\) Queue"))
    before = row.get_attribute("id")
    assert before

    row.locator("a.row-link").click()
    expect(page.get_by_role("heading", name="€1,480.00")).to_be_visible()
    expect(page.get_by_role("heading", name="Raises the risk")).to_be_visible()
    expect(page.locator("table.waterfall rect").first).to_be_visible()
    bars_agree_with_the_sum(page)
    page.get_by_label("Note (optional)").fill("The cardholder did not make this payment.")
    page.get_by_label("Fraud", exact=True).check()
    page.get_by_role("button", name="Stolen card").click()
    expect(page.locator("#desk .verdict")).to_contain_text("Fraud")
    expect(page.locator("#desk-notes")).to_contain_text("The cardholder did not make this payment.")
    expect(page.locator("#desk-history")).to_contain_text("closed the alert")

    page.get_by_role("link", name="Models").click()
    old = page.locator("#champion-id").inner_text()
    page.evaluate("window.sameDocument = true")
    page.get_by_role("button", name="Train a challenger").click()
    expect(page.locator("#models-said")).to_contain_text("The training was asked for")
    expect(page.locator("#run-rows tr").first.get_by_text("Done")).to_be_visible(timeout=TRAINING_MS)
    assert page.evaluate("window.sameDocument"), "progress came with a reload"
    new = page.locator("#run-rows tr").first.locator("td").last.inner_text()
    assert new != old

    expect(page.locator(f"#promote-not-{new}")).to_contain_text("a second person must promote it")
    expect(page.locator(f"#promote-{new}")).to_have_count(0)
    read_report(page, new, old)

    colleague = another()
    complaints.watch(colleague.context)
    sign_in(colleague, "admin")
    colleague.goto("/models")
    shadow(colleague, product, new)
    page.goto("/models")
    expect(page.locator("#live-chip")).to_have_attribute("data-state", "live")
    colleague.locator(f"#promote-{new}-open").click()
    colleague.get_by_role("button", name=f"Promote {new}").click()
    expect(colleague.locator("#champion-id")).to_have_text(new)
    expect(page.locator("#champion-id")).to_have_text(new)  # the other page heard of it

    found = until(lambda: decided_by(product, new), f"a decision by {new}")
    page.goto(f"/transactions?q={found}")
    page.locator("#transaction-rows a").first.click()
    expect(page.locator("#decided-model")).to_have_text(new)
    roll_back(colleague, old)
    until(lambda: decided_by(product, old), f"a decision by {old} again")


def bars_agree_with_the_sum(page: Page) -> None:
    """The shown steps start at the average payment and end at this one's margin (each is rounded to two decimals)."""
    texts = page.locator("table.waterfall tbody tr td.num:last-child").all_inner_texts()
    base, *steps, margin = [float(text.replace("−", "-")) for text in texts]
    assert abs(base + sum(steps) - margin) < 0.006 * len(texts)


def read_report(page: Page, model: str, champion: str) -> None:
    """From the models page: figures with intervals, beside the champion's on the same payments."""
    page.locator(f"#report-{model}").click()
    expect(page.get_by_role("heading", name=f"Model {model}")).to_be_visible()
    precision = page.locator("table.report-figures tr", has_text="Average precision")
    expect(precision.locator("td").first).to_have_text(re.compile(r"^0\.\d{3}\s*0\.\d{3} to 0\.\d{3}$"))
    expect(precision.locator("td").nth(1)).to_have_text(re.compile(r"^0\.\d{3}$"))
    for plot in ("plot-pr", "plot-reliability", "plot-cost"):
        expect(page.locator(f"#{plot} polyline").first).to_be_visible()
    page.locator("#back").click()
    expect(page.locator("#champion-id")).to_have_text(champion)


def shadow(page: Page, product: Product, model: str) -> None:
    page.get_by_role("button", name="Let it shadow").click()
    expect(page.locator("#models-said")).to_contain_text("Nobody acts on its scores")
    item = page.locator(f"#model-{model}")
    expect(item).to_contain_text("Shadows since")

    def agreement() -> bool:
        product.post()
        page.reload()
        return "live payments" in item.inner_text()

    until(agreement, "a payment scored by the shadow")
    expect(item).to_contain_text(re.compile(r"Same outcome for .+ of \d+ live payments"))


def roll_back(page: Page, back_to: str) -> None:
    page.goto("/models")
    page.locator("#rollback-open").click()
    page.locator("#rollback-reason").fill("Only trying the way back.")
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator("#champion-id")).to_have_text(back_to)
    expect(page.locator("#models-said")).to_contain_text("The champion before is back")


def decided_by(product: Product, model: str) -> str | None:
    found = product.post()
    return str(found["id"]) if found["decision"]["model"] == model else None
