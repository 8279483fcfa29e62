"""Read in Brazilian Portuguese, no page of the console says anything in English."""

import re
from collections.abc import Callable
from typing import Final

from playwright.sync_api import Page

from models.features.catalogue import NAMES
from tests.e2e import sweep
from tests.e2e.conftest import Product, SignIn
from tests.english import english_in

_SAID: Final = """() => {
  const own = document.documentElement.lang, said = new Set([document.title]);
  const spoken = ['title', 'aria-label', 'placeholder', 'alt', 'label', 'data-key-title', 'data-one', 'data-many'];
  const data = element => element.closest('[lang]').lang !== own
    || element.closest('pre, code, kbd, script, style, .mono, .user-name, .menu-who, #people, #time-zone');
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) if (!data(words.currentNode.parentElement)) said.add(words.currentNode.data.replace(/\\s+/g, ' ').trim());
  for (const name of spoken)
    for (const element of document.querySelectorAll(`[${name}]`)) if (!data(element)) said.add(element.getAttribute(name));
  return [...said].filter(Boolean);
}"""
"""Texts and spoken attributes, without ids, names of people and what is marked as another language."""


_DATA: Final = re.compile(
    r"\b(?:Lead|Analyst|Admin)\b(?: \(.*?\))?|Synthetic payments of the demo|variáveis all|sold on a forum"
)
"""Names of the demo's people and of its source, the id of all features together, and what another test's analyst typed."""


def english_on(page: Page) -> dict[str, list[str]]:
    """text: its English words."""
    assert page.locator("html").get_attribute("lang") == "pt-BR"
    said = {text: english_in(_DATA.sub(" ", text)) for text in page.evaluate(_SAID) if text not in NAMES}
    assert len(said) > 5
    return {text: words for text, words in said.items() if words}


def test_no_page_read_in_portuguese_speaks_english(
    another: Callable[..., Page], sign_in: SignIn, suspicious: str, product: Product
) -> None:
    page = another()
    sign_in(page, "lead")
    where = sweep.addresses(page, product, suspicious)
    found: dict[str, dict[str, list[str]]] = {}

    def look(page: Page, _path: str, address: str) -> None:
        if english := english_on(page):
            found[address] = english

    page.context.add_cookies([{"name": "ronda_language", "value": "pt-BR", "url": product.url}])
    sweep.visit(page, {**where, "refused": ["/dead-letters?show=nonsense", "/transactions?after=x"]}, look)
    analyst = another()
    sign_in(analyst, "analyst")
    analyst.context.add_cookies([{"name": "ronda_language", "value": "pt-BR", "url": product.url}])
    sweep.visit(analyst, {"of a lead": ["/audit"]}, look)
    page.goto("/queue")
    for box in page.locator(".pick input").all()[:2]:
        box.check()
    page.locator("button[form=bulk], #bulk button[type=submit]").first.click()
    page.wait_for_url(re.compile("/bulk/"))
    look(page, "", "several alerts at once")
    stranger = another(locale="pt-BR")
    stranger.goto("/sign-in")
    stranger.locator("[name=email]").fill("lead@localhost")
    stranger.locator("[name=password]").fill("not the password")
    stranger.locator("form[action='/sign-in'] button[type=submit]").click()
    stranger.locator("#sign-in-problem").wait_for()
    look(stranger, "", "a wrong password")
    assert found == {}
