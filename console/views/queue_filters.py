"""The queue's filters in words: the panel's choices with their counts, chips of those that hold, and which one is too narrow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from babel.numbers import format_decimal

from console.i18n import Words, marked, ngettext, reader, stored
from console.i18n import gettext as _
from console.views.queue import DUE_WORDS, badge
from console.views.queue_url import QueueView
from console.views.words import BANDS, ENTITIES, OUTCOMES
from core.base.terms import EntityKind
from core.stores.queue_counts import Facets
from core.stores.queue_filter import Age, Standing
from models.features.catalogue import LANGUAGES

STANDINGS: Final = Words(
    {
        Standing.UNCLOSED: marked("To do"),
        Standing.OPEN: marked("Unclaimed"),
        Standing.CLAIMED: marked("Claimed"),
        Standing.MINE: marked("Mine"),
        Standing.CLOSED: marked("Closed"),
        Standing.ANY: marked("Any status"),
    }
)
AGES: Final = Words(
    {Age.HOUR: marked("Under 1 hour"), Age.DAY: marked("1 to 24 hours"), Age.OLDER: marked("Over 1 day")}
)
CONTROLS: Final = Words({"yes": marked("Only the control sample"), "no": marked("Without the control sample")})
REASONS: Final = Words(
    {
        "control": marked("Control sample"),
        "scoring_failed": marked("Could not be scored"),
        "no_features": marked("Decided without features"),
        "no_model": marked("Decided by rules only"),
        "many_small": marked("Many small signs"),
        "deny_list": marked("On the deny list"),
        "watch_list": marked("On the watch list"),
        "": marked("Other"),
    }
)
MOST_REASONS: Final = 12


def reason_title(code: str, rules: Mapping[str, str]) -> str:
    """rules: texts of the policy's rules by code."""
    if code in REASONS:
        return REASONS[code]
    groups = LANGUAGES[reader().language].GROUPS
    return groups[code] if code in groups else stored(rules[code]) if code in rules else code


@dataclass(frozen=True)
class Choice:
    value: str
    words: str
    count: str
    checked: bool


@dataclass(frozen=True)
class Group:
    """One filter of the panel: checkboxes, or radio buttons where only one can hold."""

    name: str
    title: str
    single: bool
    choices: list[Choice]


def groups(view: QueueView, facets: Facets, rules: Mapping[str, str]) -> list[Group]:
    wanted = view.wanted

    def several(name: str, title: str, words: Mapping[Any, str], chosen: Sequence[str]) -> Group:
        found = facets.counts[name]
        return Group(name, title, False, [_choice(each, words[each], found, chosen) for each in words])

    reasons = sorted(
        {*facets.counts["reason"], *wanted.reasons}, key=lambda code: (-facets.counts["reason"].get(code, 0), code)
    )
    kept = [code for place, code in enumerate(reasons) if code and (place < MOST_REASONS or code in wanted.reasons)]
    control = {True: "yes", False: "no", None: ""}[wanted.control]
    currencies = sorted({*facets.counts["currency"], *wanted.currencies})
    ages = [_choice(each, AGES[each], facets.counts["age"], [wanted.age]) for each in Age]
    controls = [_choice(key, CONTROLS[key], facets.counts["control"], [control]) for key in CONTROLS]
    standings = [Choice(_status(each), STANDINGS[each], "", wanted.standing is each) for each in Standing]
    found = [
        Group("status", _("Status"), True, standings),
        several("due", _("Time left"), DUE_WORDS, wanted.due),
        several("outcome", _("Outcome"), OUTCOMES, wanted.outcomes),
        several("band", _("Score"), {band: BANDS[band] for band in reversed(list(BANDS))}, wanted.bands),
        Group("age", _("Age"), True, [_any(wanted.age is None), *ages]),
        Group("control", _("Control sample"), True, [_any(wanted.control is None), *controls]),
        several("currency", _("Currency"), {code: code for code in currencies}, wanted.currencies),
        several("reason", _("Why"), {code: reason_title(code, rules) for code in kept}, wanted.reasons),
    ]
    return [group for group in found if group.choices]


def _status(standing: Standing) -> str:
    """What goes without saying stands in no address."""
    return "" if standing is Standing.UNCLOSED else standing.value


def _any(checked: bool) -> Choice:
    return Choice("", _("Any"), "", checked)


def _choice(value: str, words: str, counts: Mapping[str, int], chosen: Sequence[Any]) -> Choice:
    return Choice(str(value), words, badge(counts.get(str(value), 0)), value in chosen)


@dataclass(frozen=True)
class Chip:
    """A filter that holds, and the way to the same view without it. key: what it narrows."""

    key: str
    title: str
    words: str
    href: str


def amount_words(amount: Decimal) -> str:
    return format_decimal(amount, locale=reader().locale)


def chips(view: QueueView, rules: Mapping[str, str]) -> list[Chip]:
    wanted, found = view.wanted, []

    def add(key: str, title: str, said: str, /, **without: Any) -> None:
        found.append(Chip(key, title, said, view.narrowed(**without).href()))

    def each(key: str, title: str, name: str, words: Callable[[Any], str]) -> None:
        values: tuple[Any, ...] = getattr(wanted, name)
        for value in values:
            add(key, title, words(value), **{name: tuple(other for other in values if other != value)})

    if wanted.words:
        add("q", _("Id"), wanted.words, words="")
    if wanted.standing is not Standing.UNCLOSED:
        add("status", _("Status"), STANDINGS[wanted.standing], standing=Standing.UNCLOSED)
    each("due", _("Time left"), "due", DUE_WORDS.__getitem__)
    each("outcome", _("Outcome"), "outcomes", OUTCOMES.__getitem__)
    each("band", _("Score"), "bands", BANDS.__getitem__)
    if wanted.age:
        add("age", _("Age"), AGES[wanted.age], age=None)
    each("reason", _("Why"), "reasons", lambda code: reason_title(code, rules))
    each("currency", _("Currency"), "currencies", str)
    if wanted.amount_from is not None:
        add("amount", _("Amount"), _("from %(amount)s", amount=amount_words(wanted.amount_from)), amount_from=None)
    if wanted.amount_to is not None:
        add("amount", _("Amount"), _("up to %(amount)s", amount=amount_words(wanted.amount_to)), amount_to=None)
    for kind, ident in wanted.entities:
        others = tuple(pair for pair in wanted.entities if pair[0] is not kind)
        add(kind.value, ENTITIES[kind][0], ident, entities=others)
    if wanted.control is not None:
        add("control", _("Control sample"), CONTROLS["yes" if wanted.control else "no"], control=None)
    return found


@dataclass(frozen=True)
class Widening:
    """A filter whose absence would show something."""

    words: str
    href: str


def widenings(view: QueueView, without: Mapping[str, int], rules: Mapping[str, str]) -> list[Widening]:
    """without: how many alerts there would be without each filter. The most telling first."""
    best = sorted(((number, key) for key, number in without.items() if number), reverse=True)
    found = []
    for number, key in best:
        named = [chip for chip in chips(view, rules) if chip.key == key]
        if named:
            title = ", ".join(dict.fromkeys(f"{chip.title}: {chip.words}" for chip in named))
            words = ngettext(
                "Without “%(filter)s” there is %(num)s", "Without “%(filter)s” there are %(num)s", number, filter=title
            )
            found.append(Widening(words, _without(view, key).href()))
    return found


def _without(view: QueueView, key: str) -> QueueView:
    plain: dict[str, dict[str, Any]] = {
        "q": {"words": ""}, "status": {"standing": Standing.ANY}, "due": {"due": ()}, "outcome": {"outcomes": ()},
        "band": {"bands": ()}, "age": {"age": None}, "reason": {"reasons": ()}, "currency": {"currencies": ()},
        "amount": {"amount_from": None, "amount_to": None}, "control": {"control": None},
    }  # fmt: skip
    if key in plain:
        return view.narrowed(**plain[key])
    return view.narrowed(entities=tuple(pair for pair in view.wanted.entities if pair[0] != EntityKind(key)))
