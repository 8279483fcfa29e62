"""An amount is read as it was meant, or refused: never as a hundred times as much."""

from decimal import Decimal

import pytest

from console.asked import read_amount
from console.i18n import Reader, speaking_to
from console.views.words import money
from core.base.money import from_hundredths
from core.base.terms import Language
from models.scoring import words as telling
from models.scoring.lexicon import LEXICONS

EN, PT = Language.EN, Language.PT_BR


@pytest.mark.parametrize(
    ("language", "text", "amount"),
    [
        (EN, "9.50", "9.50"),
        (EN, "1,250.50", "1250.50"),
        (EN, "12.345", "12.345"),
        (EN, "1250", "1250"),
        (PT, "9.50", "9.50"),
        (PT, "9,50", "9.50"),
        (PT, "1.250,50", "1250.50"),
        (PT, "12.345", "12345"),
    ],
)
def test_an_amount_is_read_in_the_readers_language(language: Language, text: str, amount: str) -> None:
    with speaking_to(Reader(language)):
        assert read_amount(text) == Decimal(amount)


@pytest.mark.parametrize("language", [EN, PT])
@pytest.mark.parametrize(
    "text", ["", "ten", "-3", "1e5", "1e999999", "NaN", "Infinity", "1 2 3", "9" * 400, "٣", "1,2,3", ".", "9.."]
)
def test_what_is_no_amount_is_refused(language: Language, text: str) -> None:
    with speaking_to(Reader(language)), pytest.raises(ValueError):  # noqa: PT011 - its callers say what is wrong
        read_amount(text)


@pytest.mark.parametrize(("language", "text"), [(EN, "9,50"), (EN, "1.250,50"), (PT, "1,250.50")])
def test_another_languages_marks_are_refused(language: Language, text: str) -> None:
    with speaking_to(Reader(language)), pytest.raises(ValueError):  # noqa: PT011
        read_amount(text)


@pytest.mark.parametrize("language", Language)
def test_a_reason_writes_money_as_the_figures_beside_it(language: Language) -> None:
    """Reasons are written without Babel, figures with it."""
    with speaking_to(Reader(language)):
        for currency in (*Reader(language).locale.currency_symbols, "KWD", "ZZZ"):
            beside = money(from_hundredths(123_456_700, currency), currency)
            assert telling.money(123_456_700, currency, LEXICONS[language]) == beside
