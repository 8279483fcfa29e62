"""What the page's scripts say, the page hands them in the reader's language: no script holds a word that a person reads."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.i18n import script_words

STATIC = Path(__file__).parents[3] / "console" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/"  # a comment
    r"|(?P<literal>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)",
    re.DOTALL,
)
_VALUE = re.compile(r"\$\{[^}]*\}")
_SENTENCE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}|^[A-Z][a-z]{2,}$")
_SELECTED = re.compile(r"(?:(?:querySelector(?:All)?|closest|matches)(?:\?\.)?\(|className =)\s*$")
_CODE = re.compile(r"[\[\]#=;{}<>/\\]")
"""Selectors, cookies and addresses have these, sentences do not."""
TECHNICAL = {"use strict", "Escape", "Shift", "Enter"}
_SHOWN = re.compile(
    r"(?:\b(?:textContent|innerText|innerHTML|title|placeholder|ariaLabel)\s*=(?!=)|\b(?:alert|confirm|prompt)\("
    r"|setAttribute\(\s*[\"'](?:title|aria-label|placeholder|alt)[\"']\s*,)(?P<said>[^;]*);"
)
_WORD = re.compile(r"[A-Za-zÀ-ÿ]{2,}")
UNITS = {"min"}
"""Written alike in every language."""


def literals(code: str) -> Iterator[tuple[str, str]]:
    """(what stands before it, its text without its values)."""
    for found in _TOKEN.finditer(code):
        if found["literal"]:
            yield code[: found.start()], _VALUE.sub("", found["literal"][1:-1])


def said_by(code: str) -> list[str]:
    """Sentences, and whatever words of its own it puts where people read."""
    sentences = [
        text
        for before, text in literals(code)
        if _SENTENCE.search(text.strip())
        and text not in TECHNICAL
        and not _CODE.search(text)
        and not _SELECTED.search(before)
    ]
    shown = [text for found in _SHOWN.finditer(code) for _, text in literals(found["said"])]
    return [*sentences, *(text for text in shown if set(_WORD.findall(text)) - UNITS and text not in sentences)]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_nothing_of_its_own(path: Path) -> None:
    assert said_by(path.read_text()) == []


def test_what_a_script_asks_the_page_for_is_there() -> None:
    code = (STATIC / "app.js").read_text()
    asked = set(re.findall(r"\bwords\.(\w+)", code)) | set(re.findall(r"\bsay\((?:paused \? )?\"(\w+)\"", code))
    assert {"now", "ahead", "off", "lost"} <= asked <= set(script_words())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("chip.textContent = words[state];", []),
        ('chip.textContent = "live";', ["live"]),
        ('const text = "Try again";', ["Try again"]),
        ("notify('Saved');", ["Saved"]),
        ("bar.title = `${number} new alerts`;", [" new alerts"]),
        ('button.setAttribute("aria-label", "close");', ["close"]),
        ("shown.textContent = `${hours} h ${minutes} min`;", []),
        ('map.querySelector("ul li a"); // Not said to anybody', []),
        ('part.matches("#keys dl, [data-press]"); document.cookie = `a=1; path=/; same site`;', []),
        ('if (event.key === "Escape") show("palette-list");', []),
    ],
)
def test_the_check_hears_what_a_script_says(code: str, said: list[str]) -> None:
    assert said_by(code) == said
