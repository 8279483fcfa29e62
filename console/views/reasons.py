"""Why a payment was judged so: reasons with their values, what is usual, and the way to the payments behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from console.views.features import FEATURE_OF, feature_value, title_of
from console.views.payments import entity_of
from console.views.words import count, entity, signed
from core.base.terms import EntityKind
from core.tables.flow import Transaction
from models.scoring.evidence import FRAUDS, Evidence
from models.scoring.words import range_in_words

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
    """To the payments that made the number. place: the id of the element that takes them; empty where they are a page of their own."""

    words: str
    href: str
    place: str


@dataclass(frozen=True)
class Reason:
    text: str
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
    return Reason(
        text=stored["text"],
        direction=stored["direction"],
        strength=strength(stored["contribution"]),
        contribution=signed(stored["contribution"]),
        features=features,
        behind=_behind(stored, row),
    )


def _usual(part: Mapping[str, Any], currency: str) -> str:
    """`1 to 3`; empty where nothing is known of it."""
    feature, usual = FEATURE_OF.get(part["name"]), part.get("usual")
    if feature and part.get("usual_range"):
        low, high = part["usual_range"]
        return range_in_words(feature, low, high, currency)
    return "" if usual is None else feature_value(part["name"], usual, currency)


def _behind(stored: Mapping[str, Any], row: Transaction) -> BehindLink | None:
    """None where nothing but this payment made the number. Reasons stored without evidence lead to the entity's payments."""
    if "evidence" not in stored:
        return _entity_behind([part["name"] for part in stored.get("features", [])], row)
    sought = Evidence.of_json(stored["evidence"])
    if sought.only_itself:
        return None
    words = "The payments behind this" if sought.count is None else _counted_words(sought)
    return BehindLink(words, f"/transactions/{row.uid}/reasons/{stored['code']}", f"behind-{stored['code']}")


def _counted_words(sought: Evidence) -> str:
    noun = "fraud" if sought.what == FRAUDS else "payment"
    return f"The {noun} behind this" if sought.count == 1 else f"The {count(sought.count or 0)} {noun}s behind this"


def _entity_behind(names: Sequence[str], row: Transaction) -> BehindLink | None:
    for name in names:
        feature = FEATURE_OF.get(name)
        if feature and feature.entity:
            ident = entity_of(row, feature.entity)
            link = entity(feature.entity, ident)
            if link:
                until = f"{row.occurred_at + timedelta(seconds=60):%Y-%m-%dT%H:%M}"
                query = {feature.entity.value: link.id, "until": until}
                title = link.title if feature.entity is EntityKind.IP else link.title.lower()
                return BehindLink(f"The payments behind this, by {title}", f"/transactions?{urlencode(query)}", "")
    return None
