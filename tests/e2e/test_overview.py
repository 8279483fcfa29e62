"""A lead's round: the overview, its numbers, labels, the trail checked and taken along, a case on paper, the navigation on a phone."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Complaints, Product, SignIn, alert_row


def test_a_lead_makes_the_round(
    page: Page, sign_in: SignIn, suspicious: str, complaints: Complaints, tmp_path: Path
) -> None:
    sign_in(page, "lead")
    alert = alert_row(page, suspicious).locator("a.row-link").get_attribute("href") or ""
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Labels").click()
    expect(page.get_by_role("heading", name="Labels")).to_be_visible()
    page.get_by_role("link", name="Imported with history").click()
    expect(page.locator("#label-rows tr")).to_have_count(50)
    page.locator("#load-more").click()
    expect(page.locator("#label-rows tr")).to_have_count(100)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Audit").click()
    for _ in range(40):  # the first seal closes over the whole synthetic history
        if "None yet" not in page.locator("#sealing").inner_text():
            break
        page.wait_for_timeout(500)
        page.reload()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator("#check-words")).to_contain_text("Everything reads as it was written.")
    expect(page.locator("#check-form")).to_be_visible()
    page.get_by_label("Result").select_option("Refused")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("result=refused"))
    page.goto(f"/audit?object=alert:{alert.rpartition('/')[2]}")
    expect(page.locator(".trail-events")).to_contain_text("opened the alert")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Table (CSV)").click()
    taken.value.save_as(tmp_path / "trail.csv")
    assert "alert.open" in (tmp_path / "trail.csv").read_text()

    page.goto(alert)
    page.get_by_role("link", name="Dossier").click()
    expect(page.locator("#printed-by")).to_contain_text("lead@localhost")
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("header.top")).to_be_hidden()
    colours = page.locator(".sheet").evaluate(
        "(sheet) => [getComputedStyle(sheet).color, getComputedStyle(sheet).backgroundColor]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    page.emulate_media(media="screen")

    page.goto("/overview?days=7")
    for _ in range(20):  # measured twice a minute
        if page.locator("#tile-opened").count():
            break
        page.wait_for_timeout(1500)
        page.reload()
    expect(page.locator("#tile-opened .figure")).not_to_have_text("0")
    expect(page.locator("#state-champion")).to_be_visible()
    page.locator("#chart-volume-open").click()
    expect(page.locator("#chart-volume table tbody tr")).to_have_count(7)
    expect(page.locator("#chart-volume table")).to_contain_text("before the first payment")


def test_the_navigation_folds_on_a_phone_and_offline_is_said(
    another: Callable[..., Page], sign_in: SignIn, product: Product
) -> None:
    page = another(viewport={"width": 390, "height": 800})
    sign_in(page, "analyst")
    expect(page.get_by_role("link", name="Overview")).to_be_hidden()
    page.locator("#nav-button").click()
    expect(page.get_by_role("link", name="Models")).to_be_visible()
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Overview")).to_be_hidden()
    page.locator("#nav-button").click()
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("#nav-button")).to_have_text("Overview")
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()
    page.goto("/audit")
    expect(page.get_by_text("Somebody with that role can do it, or give it to you.")).to_be_visible()
