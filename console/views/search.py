"""The search over transactions: the form as it was filled in, what it asks for, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from console.asked import read_amount
from console.i18n import gettext as _
from console.i18n import reader
from console.views.words import ENTITIES, LABELS, OUTCOMES, count, entity, minute
from core.base.money import to_minor
from core.base.terms import EntityKind, Label, Outcome
from core.stores.searching import MOST, UNLABELLED, Named, TransactionFilter

_FIELDS: Final = ("q", "outcome", "label", "currency", "amount_from", "amount_to", "since", "until", *EntityKind)
_TIME: Final = "%Y-%m-%dT%H:%M"


@dataclass
class Search:
    given: dict[str, str]
    wanted: TransactionFilter = field(default_factory=TransactionFilter)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not any(self.given.values())

    def href(self, **changes: str) -> str:
        query = {name: value for name, value in {**self.given, **changes}.items() if value}
        return f"/transactions?{urlencode(query)}" if query else "/transactions"


def read_search(query: Mapping[str, str]) -> Search:
    """An entity's id is taken as it is; around everything else blanks are nothing."""
    typed = {name: query.get(name, "").replace("\x00", "")[:200] for name in _FIELDS}
    search = Search({name: text if name in set(EntityKind) else text.strip() for name, text in typed.items()})
    given = search.given
    if given["outcome"] and given["outcome"] not in set(Outcome):
        search.problems["outcome"] = _("There is no such outcome.")
    if given["label"] and given["label"] not in {*Label, UNLABELLED}:
        search.problems["label"] = _("There is no such label.")
    currency = given["currency"].upper()
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        search.problems["currency"] = _("A currency has three letters, for example EUR.")
    amount_from, amount_to = _amount(search, "amount_from", currency), _amount(search, "amount_to", currency)
    if amount_from is not None and amount_to is not None and amount_from > amount_to:
        search.problems["amount_to"] = _("The highest amount is below the lowest one.")
    since, until = _time(search, "since"), _time(search, "until")
    if since and until and since >= until:
        search.problems["until"] = _("The end lies before the beginning.")
    search.wanted = TransactionFilter(
        entities={kind: given[kind] for kind in EntityKind if given[kind]},
        outcome=given["outcome"],
        label=given["label"],
        currency=currency,
        amount_from_minor=amount_from,
        amount_to_minor=amount_to,
        since=since,
        until=until,
    )
    return search


def _amount(search: Search, name: str, currency: str) -> int | None:
    """In minor units, which only a currency can tell."""
    text = search.given[name]
    if not text:
        return None
    if not currency:
        search.problems.setdefault("currency", _("Name the currency that the amounts are in, for example EUR."))
        return None
    try:
        return to_minor(read_amount(text), currency)
    except ValueError:
        search.problems[name] = _("“%(given)s” is not an amount. Write it like 1250.50.", given=text)
        return None


def _time(search: Search, name: str) -> datetime | None:
    """In the reader's time zone."""
    text = search.given[name]
    if not text:
        return None
    try:
        return datetime.strptime(text[:16], _TIME).replace(tzinfo=reader().tz)
    except ValueError:
        search.problems[name] = _("“%(text)s” is not a time. Write it like 2026-01-31T09:30.", text=text)
        return None


def search_context(search: Search, named: Named | None) -> dict[str, Any]:
    """For the template: the form, its filters by entity, and the pages of entities that the id typed in names."""
    shown = {kind: entity(kind, ident) for kind, ident in search.wanted.entities.items()}
    return {
        "given": search.given,
        "problems": search.problems,
        "outcomes": [(outcome.value, words) for outcome, words in OUTCOMES.items()],
        "labels": [*((label.value, words) for label, words in LABELS.items()), (UNLABELLED, _("No label"))],
        "entities": [(link, search.href(**{kind.value: ""})) for kind, link in shown.items()],
        "pages": [(entity(kind, named.id), ENTITIES[kind][0]) for kind in named.kinds] if named else [],
        "narrowed": not search.empty,
        "zone": reader().zone,
    }


def searched_words(back_to: datetime) -> str:
    return _(
        "Looked through %(most)s payments, back to %(when)s. Name an id or a time to find older ones at once.",
        most=count(MOST),
        when=minute(back_to),
    )
