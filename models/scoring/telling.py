"""Reasons as sentences, in any language of the product, from what a decision stored. Pure Python."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.base.terms import Language
from models.features.catalogue import FEATURES, Feature
from models.scoring.lexicon import LEXICONS
from models.scoring.words import NO_RANGE, clause, in_words, money, range_in_words

SECOND_SHARE: Final = 0.5
"""A second feature is told when it weighs at least this share of the first."""
_BY_NAME: Final[Mapping[str, Feature]] = {feature.name: feature for feature in FEATURES}


def tell(features: Sequence[Mapping[str, Any]], currency: str, language: Language = Language.EN) -> str:
    """One or two sentences about the features that weigh most. features: a reason's, strongest first; all of this catalogue."""
    parts: list[str] = []
    for part in features:
        if parts and abs(part["contribution"]) < SECOND_SHARE * abs(features[0]["contribution"]):
            break
        text = _with_usual(part, currency, language)
        if text not in parts:
            parts.append(text)
        if len(parts) == 2:
            break
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def retell(features: Sequence[Mapping[str, Any]], currency: str, language: Language) -> str | None:
    """As `tell`, of stored features; None where there are none or some are of another catalogue."""
    known = features and all(part["name"] in _BY_NAME for part in features)
    return tell(features, currency, language) if known else None


def _with_usual(part: Mapping[str, Any], currency: str, language: Language) -> str:
    feature = _BY_NAME[part["name"]]
    value = math.nan if part["value"] is None else part["value"]
    text = clause(feature, value, currency, language) + _aside(part, currency, language)
    if math.isnan(value) or feature.unit in NO_RANGE or (value == 0 and feature.said[language].when_zero is not None):
        return text
    usual = usual_in_words(part, feature, currency, language)
    return f"{text}; {usual}" if usual else text


def _aside(part: Mapping[str, Any], currency: str, language: Language) -> str:
    """What the number is a multiple of or stands for, or that this payment made it: ` (€94.00)`."""
    lexicon = LEXICONS[language]
    if part.get("named"):
        return f" ({part['named']})"
    if part.get("base") is not None:
        return f" ({money(part['base'], currency, lexicon)})"
    made = part.get("made_by")
    return f" ({lexicon.alone if made == 'alone' else lexicon.itself})" if made else ""


def usual_in_words(part: Mapping[str, Any], feature: Feature, currency: str, language: Language) -> str:
    """`usual is 1 to 3`, `this customer's usual is €12.00, the largest so far €80.00`; empty where nothing is known."""
    lexicon, usual = LEXICONS[language], part.get("usual")
    if part.get("whose") == "customer" and usual is not None:
        text = lexicon.usual_here.format(value=range_in_words(feature, usual, usual, currency, language))
        largest = part.get("largest")
        if largest is None:
            return text
        return f"{text}, {lexicon.largest.format(value=in_words(feature, largest, currency, language))}"
    if part.get("usual_range"):
        low, high = part["usual_range"]
    elif usual is not None and feature.unit not in ("times", "deviations"):
        low = high = usual
    else:
        return ""
    return lexicon.usual.format(value=range_in_words(feature, low, high, currency, language))
