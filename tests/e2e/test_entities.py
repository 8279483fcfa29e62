"""Lists and entities in a browser: a card is denied from its own page, and the next payment tells."""

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, until


def test_a_denied_card_is_declined_and_every_page_says_why(
    page: Page, sign_in: SignIn, product: Product, complaints: Complaints
) -> None:
    card, customer = "tok/e2e 1%", "cus_e2e_lists"
    first = product.post(customer_id=customer, card_id=card, device_id="dev_e2e_lists")
    sign_in(page, "analyst")
    page.goto(f"/transactions?q={first['id']}")
    page.locator("#transaction-rows a.entity", has_text=card).click()
    expect(page.locator("#entity-id")).to_have_text(card)
    page.locator("#add-here-open").click()
    page.locator("#list-deny").check()
    page.locator("#reason").fill("sold on a forum")
    page.get_by_role("button", name="Put it on the list").click()
    expect(page.locator(".box-good")).to_contain_text("It is on the list")

    def declined() -> bool:
        found = product.post(customer_id=customer, card_id=card, device_id="dev_e2e_lists")
        return bool(found["decision"]["outcome"] == "decline")

    until(declined, "the scorer to obey the list")
    page.reload()
    page.locator("#payment-rows tr", has_text="Decline").locator("a").first.click()
    hit = page.locator(".rule-hits")
    expect(hit).to_contain_text("This card is on the deny list: sold on a forum")
    hit.get_by_role("link").click()
    expect(page.locator("#entity-id")).to_have_text(card)

    page.goto("/lists?list=deny")
    row = page.locator("#entry-rows tr", has_text=card)
    row.locator("summary").click()
    row.get_by_role("button", name="End it now").click()
    expect(page.locator("#entry-rows tr", has_text=card)).to_have_count(0)
    page.goto("/lists?show=ended")
    expect(page.locator("#entry-rows")).to_contain_text("ended by")
