"""A what-if, ready to be shown: the form, what the scorer says of the change, and which single changes would clear the alert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.i18n import gettext as _
from console.views.features import feature_value, title_of
from console.views.lists import hit_words
from console.views.words import OUTCOMES, Score, middle, moment, money, score
from console.what_if import NEW_DEVICE, Desk, Lent, Wish
from core.base.money import to_major
from core.base.terms import Outcome
from core.contracts.what_if import Answer, Said
from models.features.catalogue import NAMES


@dataclass(frozen=True)
class Option:
    value: str
    words: str
    chosen: bool


@dataclass(frozen=True)
class Field:
    name: str
    title: str
    options: list[Option]


@dataclass(frozen=True)
class Verdict:
    score: Score
    outcome: str
    outcome_kind: str
    hits: list[str]


@dataclass(frozen=True)
class Moved:
    title: str
    was: str
    would_be: str


@dataclass(frozen=True)
class Clearing:
    """A single change after which the payment would be approved."""

    words: str
    score: Score
    href: str


def fields(desk: Desk, wish: Wish, now: datetime) -> list[Field]:
    row, choices = desk.row, desk.choices
    stays = _("as it was")
    hour = "" if wish.hour is None else str(wish.hour)
    devices = [(NEW_DEVICE, _("one never seen before")), *_lent(choices.devices, now)]
    countries = [("", _own(row.merchant_country, stays)), *_lent(choices.countries, now)]
    categories = [("", _own(row.merchant_category, stays)), *_lent(choices.categories, now)]
    channels = [("", _own(row.channel, stays)), *((channel, channel) for channel in choices.channels)]
    return [
        _field("hour", _("Hour (UTC)"), [("", stays), *((str(each), f"{each:02d}:00") for each in range(24))], hour),
        _field("device", _("Device"), [("", stays), *devices], wish.device),
        _field("country", _("Merchant country"), countries, wish.country),
        _field("category", _("Merchant category"), categories, wish.category),
        _field("channel", _("Channel (rules only)"), channels, wish.channel),
    ]


def _own(value: str | None, stays: str) -> str:
    return f"{value} ({stays})" if value else stays


def _lent(lent: Mapping[str, Lent], now: datetime) -> list[tuple[str, str]]:
    return [
        (name, _("%(name)s, as on %(time)s", name=middle(name, 18), time=moment(each.at, now).short))
        for name, each in lent.items()
    ]


def _field(name: str, title: str, options: Sequence[tuple[str, str]], chosen: str) -> Field:
    return Field(name, title, [Option(value, words, value == chosen) for value, words in options])


def amount_text(desk: Desk, wish: Wish) -> str:
    """As it is typed into the form."""
    minor = desk.row.amount_minor if wish.amount_minor is None else wish.amount_minor
    return str(to_major(minor, desk.row.currency))


def verdict(said: Said) -> Verdict:
    return Verdict(score(said.score), OUTCOMES[said.outcome], said.outcome.value, [hit_words(hit) for hit in said.hits])


def moved(desk: Desk, features: Sequence[float | None]) -> list[Moved]:
    """The features that the change moved."""
    pairs = zip(NAMES, desk.decision.features, features, strict=True)
    return [
        Moved(title_of(name), feature_value(name, was, desk.row.currency), feature_value(name, now, desk.row.currency))
        for name, was, now in pairs
        if was != now
    ]


def clearing(desk: Desk, wishes: Sequence[Wish], said: Sequence[Said], address: str) -> list[Clearing]:
    """The first of each kind of change that leads to an approval: `wishes` has the smallest first."""
    found: dict[str, Clearing] = {}
    for wish, each in zip(wishes, said, strict=True):
        name, value = next((name, value) for name, value in _named(wish) if value not in ("", None))
        if each.outcome is Outcome.APPROVE and name not in found:
            query = to_major(wish.amount_minor, desk.row.currency) if wish.amount_minor is not None else value
            found[name] = Clearing(_change_words(desk, wish), score(each.score), f"{address}?{name}={query}")
    return list(found.values())


def strongest(desk: Desk, own: Said, wishes: Sequence[Wish], said: Sequence[Said]) -> str:
    """Which single change lowers the score most; empty where none lowers it, or no model scored."""
    scored = [(each.score, place) for place, each in enumerate(said) if each.score is not None]
    if not scored or own.score is None or min(scored)[0] >= own.score:
        return ""
    best, place = min(scored)
    return _(
        "The strongest of them, %(change)s, takes the score from %(was)s to %(best)s.",
        change=_change_words(desk, wishes[place]), was=score(own.score).percent, best=score(best).percent,
    )  # fmt: skip


def _named(wish: Wish) -> list[tuple[str, object]]:
    return [
        ("amount", wish.amount_minor),
        ("hour", wish.hour),
        ("device", wish.device),
        ("country", wish.country),
        ("category", wish.category),
        ("channel", wish.channel),
    ]


def _change_words(desk: Desk, wish: Wish) -> str:
    if wish.amount_minor is not None:
        return _("an amount of %(amount)s", amount=money(wish.amount_minor, desk.row.currency))
    if wish.hour is not None:
        return _(
            "%(hour)s UTC instead of %(was)s",
            hour=f"{wish.hour:02d}:00",
            was=f"{desk.known.at_ms // 3_600_000 % 24:02d}:00",
        )
    if wish.device == NEW_DEVICE:
        return _("a device never seen before")
    if wish.device:
        return _("the customer’s device %(device)s", device=middle(wish.device, 18))
    if wish.country:
        return _("a merchant in %(country)s", country=wish.country)
    if wish.category:
        return _("the merchant category %(category)s", category=wish.category)
    return _("the channel %(channel)s", channel=wish.channel)


def said_words(answer: Answer, decision_model: str | None) -> str:
    """Whose opinion it is, when that is another model than the one that decided."""
    if answer.model_id is None:
        return _("No model is in use: only the rules speak.")
    if answer.model_id == decision_model:
        return _(
            "By model %(model)s, which also decided, under policy %(policy)s.",
            model=answer.model_id,
            policy=answer.policy_version,
        )
    return _(
        "By model %(model)s under policy %(policy)s, in force now; the payment was decided by another one, so its score differs.",
        model=answer.model_id, policy=answer.policy_version,
    )  # fmt: skip
