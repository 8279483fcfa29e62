"""Both languages tell every feature, with the same facts."""

import inspect
import re
from string import Formatter

import pytest

from core.base.terms import Language
from models.features.catalogue import FEATURES, LANGUAGES, Feature
from models.features.phrases import Phrase, en, pt
from models.scoring.lexicon import LEXICONS, PT
from models.scoring.telling import retell
from models.scoring.words import clause, counted, duration, in_words, money, number, range_in_words

ENGLISH = re.compile(
    r"\b(the|of|this|by|with|payments?|customer|merchant|device|none|usual|last|fraud)\b", re.IGNORECASE
)


def fields(sentence: str) -> list[str]:
    return [field for _, field, _, _ in Formatter().parse(sentence) if field is not None]


def feature(name: str) -> Feature:
    return next(feature for feature in FEATURES if feature.name == name)


def test_every_language_is_there() -> None:
    assert set(LANGUAGES) == set(LEXICONS) == set(Language)


def test_the_languages_modules_have_the_same_names() -> None:
    def functions(module: object) -> dict[str, list[str]]:
        found = inspect.getmembers(module, inspect.isfunction)
        return {name: list(inspect.signature(made).parameters) for name, made in found if not name.startswith("_")}

    assert functions(en) == functions(pt)
    for name in ("NOUN", "PLURAL", "WHERE", "SPAN", "GROUPS"):
        assert list(getattr(en, name)) == list(getattr(pt, name)), name


@pytest.mark.parametrize("told", FEATURES, ids=lambda told: told.name)
def test_both_languages_tell_a_feature_with_the_same_facts(told: Feature) -> None:
    ours, theirs = told.said[Language.EN], told.said[Language.PT_BR]
    assert fields(ours.sentence) == fields(theirs.sentence)
    assert (ours.when_zero is None) == (theirs.when_zero is None)
    assert bool(ours.when_unknown) == bool(theirs.when_unknown)
    for mine, other in zip(vars(ours).values(), vars(theirs).values(), strict=True):
        if mine:
            assert mine != other
            assert not ENGLISH.search(other)
            assert numbers(mine) == numbers(spelt(other))


def numbers(text: str) -> list[str]:
    """All but 1: `the last hour` is `1 hora` in a title."""
    return sorted(found for found in re.findall(r"[\d,]*\d", text) if found != "1")


def spelt(text: str) -> str:
    """Marks of thousands as in English."""
    return re.sub(r"(\d)\.(\d{3})", r"\1,\2", text)


def test_titles_differ_in_each_language() -> None:
    for language in Language:
        titles = [told.said[language].title for told in FEATURES]
        assert len(set(titles)) == len(titles), language


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("told", FEATURES, ids=lambda told: told.name)
def test_every_value_can_be_told(told: Feature, language: Language) -> None:
    for value in (0.0, 1.0, 0.037, 1.5, 23.0, 1_234_567.0, float("nan")):
        text = clause(told, value if told.unit != "hour" else value % 24, "BRL", language)
        assert text
        assert not re.search(r"nan|None|[{}]", text)


def test_numbers_follow_the_language() -> None:
    assert [number(value, PT) for value in (0, 0.0371, 0.5, 9.96, 1_234.5)] == ["0", "0,04", "0,5", "10", "1.234"]
    assert money(123_456_789, "BRL", PT) == "R$\xa01.234.567,89"
    assert money(123_456, "EUR", PT) == "€\xa01.234,56"
    assert money(123_400, "JPY", PT) == "JP¥\xa01.234"
    assert [duration(seconds, PT) for seconds in (1, 60, 5_400, 7_200, 86_400, 20 * 86_400)] == [
        "1 segundo", "1 minuto", "1,5 hora", "2 horas", "1 dia", "20 dias",
    ]  # fmt: skip
    assert [counted(value, PT.payment, PT) for value in (0, 1, 1.5, 1.96, 2)] == [
        "0 transações", "1 transação", "1,5 transação", "2 transações", "2 transações",
    ]  # fmt: skip


def test_ranges() -> None:
    amount, count, since = feature("amount"), feature("device_velocity_1h_count"), feature("customer_since_previous_s")
    assert range_in_words(amount, 500, 9_300, "EUR") == "€5.00 to €93.00"
    assert range_in_words(amount, 500, 9_300, "BRL", Language.PT_BR) == "R$\xa05,00 a R$\xa093,00"
    assert range_in_words(amount, 500, 500, "EUR") == "€5.00"
    assert range_in_words(count, 1, 3, "EUR") == "1 to 3"
    assert range_in_words(count, 1, 1.04, "EUR") == "1"
    assert range_in_words(since, 7_200, 3 * 86_400, "EUR", Language.PT_BR) == "2 horas a 3 dias"
    assert range_in_words(feature("amount_own_deviations"), -0.8, 1.2, "EUR") == "0.8 below to 1.2 above"
    assert in_words(feature("weekday"), 5, "EUR", Language.PT_BR) == "sábado"


def features(name: str, **part: object) -> list[dict[str, object]]:
    """Of a stored reason."""
    return [{"name": name, "value": 7.0, "contribution": 1.2, "usual": 1.0, **part}]


def test_stored_reasons_are_told_again_in_portuguese() -> None:
    told = retell(features("device_velocity_1h_count", usual_range=[1.0, 3.0]), "BRL", Language.PT_BR)
    assert told == "7 transações neste dispositivo na última hora; o habitual é 1 a 3."


def test_the_customers_own_usual_is_told_in_portuguese() -> None:
    own = features("amount", value=94_000.0, usual=9_400.0, largest=18_000.0, whose="customer")
    told = retell(own, "BRL", Language.PT_BR)
    assert told == "O valor é R$\xa0940,00; o habitual deste cliente é R$\xa094,00, o maior até agora, R$\xa0180,00."


@pytest.mark.parametrize("stored", [[], features("a_feature_of_yesterday")])
def test_what_this_catalogue_does_not_know_cannot_be_told_again(stored: list[dict[str, object]]) -> None:
    assert retell(stored, "BRL", Language.PT_BR) is None


def test_a_phrase_without_its_own_words_for_unknown_says_so_in_its_language() -> None:
    assert clause(feature("amount"), float("nan"), "EUR", Language.PT_BR) == pt.NOT_KNOWN
    assert feature("amount").said[Language.PT_BR] == Phrase("Valor", "o valor é {value}")
