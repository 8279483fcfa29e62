"""Why a payment was judged so: reasons with their values, what is usual, and the way to the payments behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.features import FEATURE_OF, feature_value, title_of
from console.views.recorded import retold
from console.views.words import compact, count, signed, span
from core.base.terms import Language
from core.tables.flow import Transaction
from models.scoring.evidence import FRAUDS, Evidence
from models.scoring.telling import retell
from models.scoring.words import NO_RANGE

FEATURES_A_REASON: Final = 2
"""The rest stands in the list of all features."""


@dataclass(frozen=True)
class ReasonFeature:
    title: str
    value: str
    usual: str
    contribution: str


@dataclass(frozen=True)
class BehindLink:
    """To the payments that made the number. place: the id of the element that takes them."""

    words: str
    href: str
    place: str


@dataclass(frozen=True)
class Reason:
    """lang: the language of a text that is not to be had in the reader's; empty otherwise."""

    text: str
    lang: str
    direction: str
    strength: int
    """1 to 3: how much it moves the odds (less than double, up to four times, more)."""
    contribution: str
    features: list[ReasonFeature]
    behind: BehindLink | None


def strength(contribution: float) -> int:
    """ln 2 doubles the odds, ln 4 makes them four times as high."""
    size = abs(contribution)
    return 1 if size < 0.693 else 2 if size < 1.386 else 3


def reason_text(stored: Mapping[str, Any], currency: str) -> str:
    """What the model did not say, the scorer did; a reason of an older catalogue keeps its words."""
    told = retell(stored.get("features", []), currency, reader().language)
    return retold(stored["text"]) if told is None else told


def reason(stored: Mapping[str, Any], row: Transaction) -> Reason:
    features = [
        ReasonFeature(
            title=title_of(part["name"]),
            value=feature_value(part["name"], part["value"], row.currency),
            usual=_usual(part, row.currency),
            contribution=signed(part["contribution"]),
        )
        for part in stored.get("features", [])[:FEATURES_A_REASON]
    ]
    text = reason_text(stored, row.currency)
    return Reason(
        text=text,
        lang="" if reader().language is Language.EN or text != stored["text"] else Language.EN.value,
        direction=stored["direction"],
        strength=strength(stored["contribution"]),
        contribution=signed(stored["contribution"]),
        features=features,
        behind=_behind(stored, row),
    )


def _usual(part: Mapping[str, Any], currency: str) -> str:
    """`1 to 3`; empty where nothing is known of it, or nothing is usual."""
    name, usual = part["name"], part.get("usual")
    feature = FEATURE_OF.get(name)
    if usual is None or (feature and feature.unit in NO_RANGE):
        return ""
    bounds = part.get("usual_range") or [usual]
    words = list(dict.fromkeys(feature_value(name, bound, currency) for bound in bounds))
    if feature and feature.unit == "payments" and len(words) == 2:
        words[0] = compact(bounds[0])
    return span(*words) if len(words) == 2 else "".join(words)


def _behind(stored: Mapping[str, Any], row: Transaction) -> BehindLink | None:
    """None where nothing but this payment made the number."""
    if "evidence" not in stored:
        return None
    sought = Evidence.of_json(stored["evidence"])
    if sought.only_itself:
        return None
    words = _("The payments behind this") if sought.count is None else _counted_words(sought)
    return BehindLink(words, f"/transactions/{row.uid}/reasons/{stored['code']}", f"behind-{stored['code']}")


def _counted_words(sought: Evidence) -> str:
    number = sought.count or 0
    if sought.what == FRAUDS:
        return ngettext("The fraud behind this", "The %(count)s frauds behind this", number, count=count(number))
    return ngettext("The payment behind this", "The %(count)s payments behind this", number, count=count(number))
