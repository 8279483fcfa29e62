"""Feature values in words: `7 payments`, `€1,250.00`, `3 hours`, `6.2 times`; `7 transações`, `R$ 1.250,00`. Pure Python."""

import math
from collections.abc import Callable
from typing import Final

from core.base.money import exponent_of, from_hundredths, to_major
from core.base.terms import Language
from models.features.catalogue import LANGUAGES, Feature
from models.scoring.lexicon import EN, LEXICONS, Lexicon, Noun

_SECONDS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def _marked(text: str, lexicon: Lexicon) -> str:
    """Python's `1,234.5` with the language's own marks."""
    return text.translate(str.maketrans(",.", lexicon.marks))


def money(hundredths: float, currency: str, lexicon: Lexicon = EN) -> str:
    """`€1,250.00`, `KWD 12.500`, `R$ 1.250,00`: as the console writes its figures. The gap is one that no line breaks at."""
    sign = lexicon.signs.get(currency, currency)
    gap = "\xa0" if lexicon.apart or sign[-1:].isalpha() else ""
    major = to_major(from_hundredths(hundredths, currency), currency)
    return sign + gap + _marked(f"{major:,.{exponent_of(currency)}f}", lexicon)


def number(value: float, lexicon: Lexicon = EN) -> str:
    """At most one decimal, more for small values: `12`, `2.5`, `0.04`."""
    if value == 0 or abs(value) >= 10:
        return _marked(f"{value:,.0f}", lexicon)
    return _marked(f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.1 else f"{value:.1g}", lexicon)


def counted(value: float, noun: Noun, lexicon: Lexicon = EN) -> str:
    text = number(value, lexicon)
    one = 0 < abs(value) < 2 if lexicon.one_below_two and text != "2" else text == "1"
    return f"{text} {noun[0] if one else noun[1]}"


def duration(seconds: float, lexicon: Lexicon = EN) -> str:
    for name, size in _SECONDS:
        if seconds >= size or name == "second":
            # From ten of a unit on, and for seconds, halves say nothing.
            value = seconds / size if size > 1 and seconds < 10 * size else round(seconds / size)
            return counted(value, getattr(lexicon, name), lexicon)
    raise AssertionError(seconds)


def deviations(value: float, lexicon: Lexicon = EN) -> str:
    return f"{counted(abs(value), lexicon.deviation, lexicon)} {_side(value, lexicon)}"


def _side(value: float, lexicon: Lexicon) -> str:
    return lexicon.above if value >= 0 else lexicon.below


def clock_time(hour: float) -> str:
    minutes = math.floor(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


_WORDS: Final[dict[str, Callable[[float, Lexicon], str]]] = {
    "payments": lambda value, words: counted(value, words.payment, words),
    "s": duration,
    "times": lambda value, words: counted(value, words.times, words),
    "deviations": deviations,
    "flag": lambda value, words: words.yes if value else words.no,
    "hour": lambda value, _: clock_time(value),
    "weekday": lambda value, words: words.weekdays[int(value) % 7],
    "count": number,
    "code": number,
    "share": lambda value, words: f"{number(value * 100, words)}%",
    "km": lambda value, words: f"{number(value, words)} km",
    "km/h": lambda value, words: f"{number(value, words)} km/h",
}
_SHORT: Final[dict[str, Callable[[float, Lexicon], str]]] = {
    "payments": number,
    "times": number,
    "deviations": lambda value, words: f"{number(abs(value), words)} {_side(value, words)}",
}
"""Beside a sentence that names the noun: `7 payments ...; usual is 1`."""
NO_RANGE: Final = frozenset({"flag", "hour", "weekday", "code"})
"""Units of which nothing is usual."""


def in_words(feature: Feature, value: float, currency: str, language: Language = Language.EN) -> str:
    """The value alone; money in the payment's currency."""
    lexicon = LEXICONS[language]
    return money(value, currency, lexicon) if feature.unit == "hundredths" else _WORDS[feature.unit](value, lexicon)


def range_in_words(feature: Feature, low: float, high: float, currency: str, language: Language = Language.EN) -> str:
    """`1 to 3`, `€5.00 to €93.00`, `2 hours to 3 days`; one value where both ends read the same."""
    lexicon = LEXICONS[language]
    if feature.unit == "hundredths":
        first, last = money(low, currency, lexicon), money(high, currency, lexicon)
    else:
        words = _SHORT.get(feature.unit) or _WORDS[feature.unit]
        first, last = words(low, lexicon), words(high, lexicon)
    return first if first == last else lexicon.span.format(low=first, high=last)


def clause(feature: Feature, value: float, currency: str, language: Language = Language.EN) -> str:
    """A clause about this payment, without capital and full stop."""
    phrase = feature.said[language]
    if math.isnan(value):
        return phrase.when_unknown or str(LANGUAGES[language].NOT_KNOWN)
    if value == 0 and phrase.when_zero is not None:
        return phrase.when_zero
    return phrase.sentence.format(value=in_words(feature, value, currency, language))
