"""docs/terms.md and core/base/terms.py say the same."""

import re
from enum import StrEnum

import pytest

from core.base import terms
from tests.house.tree import HOME

PAGE = (HOME / "docs" / "terms.md").read_text()
ENUMS = {
    name: kind
    for name, kind in vars(terms).items()
    if isinstance(kind, type) and issubclass(kind, StrEnum) and kind is not StrEnum
}
WORDS = [
    "source",
    "transaction",
    "entity",
    "feature",
    "window",
    "velocity",
    "score",
    "rule",
    "rule hit",
    "list",
    "threshold",
    "policy",
    "decision",
    "outcome",
    "reason code",
    "alert",
    "case",
    "queue",
    "dead letter",
    "suspect lane",
    "claim",
    "disposition",
    "verdict",
    "undo",
    "reopen",
    "hand over",
    "take next",
    "label",
    "label source",
    "champion",
    "challenger",
    "shadow",
    "control sample",
    "promotion",
    "drift",
    "watch",
    "proposal",
    "audit event",
    "seal",
    "checkpoint",
]


def rows(section: str) -> dict[str, str]:
    """First cell -> second cell of the table under a heading."""
    found = re.search(rf"^#+ {re.escape(section)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {section!r}"
    cells = re.findall(r"^\| (.+?) \| (.+?) \|$", found[1], re.MULTILINE)
    return {first.strip("`"): second for first, second in cells[1:]}


def test_every_enum_has_a_heading_and_every_heading_an_enum() -> None:
    assert len(ENUMS) > 5
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == ENUMS.keys()


@pytest.mark.parametrize("name", ENUMS)
def test_the_page_explains_exactly_the_values_that_there_are(name: str) -> None:
    explained = rows(name)
    assert list(explained) == [member.value for member in ENUMS[name]]
    assert all(meaning.endswith(".") for meaning in explained.values())


def test_the_page_explains_exactly_the_words_of_the_house() -> None:
    assert list(rows("Things and acts")) == WORDS
