"""A view of the queue as it stands in an address: filters, order and hidden columns, in one spelling."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from console.asked import read_amount, read_moment, read_place_by
from console.i18n import gettext as _
from core.base.errors import InvalidInput
from core.base.money import MAX_MINOR
from core.base.terms import DueState, EntityKind, Outcome, ScoreBand
from core.stores.queue import Order, Place
from core.stores.queue_filter import Age, AlertFilter, Standing

MAX_WORDS: Final = 64
MOST_CHOICES: Final = 40
COLUMNS: Final = ("loss", "amount", "outcome", "reason", "customer", "merchant", "age", "due", "holder")
"""Those that can be hidden. The score stays: it is the way to the alert."""


@dataclass(frozen=True)
class QueueView:
    wanted: AlertFilter = field(default_factory=AlertFilter)
    order: Order = Order.NEWEST
    hidden: tuple[str, ...] = ()

    def pairs(self) -> list[tuple[str, str]]:
        """In one order, without what goes without saying: equal views are spelt alike."""
        wanted = self.wanted
        found = [("q", wanted.words)] if wanted.words else []
        if wanted.standing is not Standing.UNCLOSED:
            found.append(("status", wanted.standing.value))
        several: Sequence[tuple[str, Iterable[str]]] = (
            ("outcome", wanted.outcomes),
            ("band", wanted.bands),
            ("due", wanted.due),
            ("age", [wanted.age] if wanted.age else []),
            ("reason", sorted(wanted.reasons)),
            ("currency", sorted(wanted.currencies)),
        )
        found += [(name, str(value)) for name, values in several for value in values]
        for name, amount in (("amount_from", wanted.amount_from), ("amount_to", wanted.amount_to)):
            found += [(name, plain(amount))] if amount is not None else []
        found += [(kind.value, ident) for kind, ident in wanted.entities]
        if wanted.control is not None:
            found.append(("control", "yes" if wanted.control else "no"))
        if self.order is not Order.NEWEST:
            found.append(("order", self.order.value))
        return [*found, *(("hide", name) for name in COLUMNS if name in self.hidden)]

    def query(self) -> str:
        return urlencode(self.pairs())

    def href(self, path: str = "/queue", **more: str) -> str:
        pairs = [*self.pairs(), *((name, value) for name, value in more.items() if value)]
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def narrowed(self, **changes: Any) -> "QueueView":
        return replace(self, wanted=replace(self.wanted, **changes))


def plain(amount: Decimal) -> str:
    """`1000`, `9.5`: the same in every language."""
    return f"{amount.normalize():f}"


@dataclass(frozen=True)
class Reading:
    """What an address, or a form, asks for. problems: of a field, in words; given: what was typed there."""

    view: QueueView
    problems: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)


Choice = TypeVar("Choice", bound=StrEnum)


def _chosen(kind: type[Choice], name: str, values: Sequence[str]) -> tuple[Choice, ...]:
    """In the enum's order, each once."""
    try:
        asked = {kind(value) for value in values}
    except ValueError:
        raise InvalidInput(_("The queue knows no such filter: %(name)s.", name=name)) from None
    return tuple(value for value in kind if value in asked)


def _one(kind: type[Choice], name: str, values: Sequence[str]) -> Choice | None:
    found = _chosen(kind, name, values[-1:])
    return found[0] if found else None


def _texts(name: str, values: Sequence[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(value.strip() for value in values))
    if len(kept) > MOST_CHOICES or any(len(value) > 200 or not value.isprintable() for value in kept):
        raise InvalidInput(_("The queue knows no such filter: %(name)s.", name=name))
    return kept


def _plain_amount(text: str) -> Decimal:
    """What `plain` wrote. Raises ValueError."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not value.is_finite() or not 0 <= value <= MAX_MINOR:
        raise ValueError(text)
    return value


class _Pairs:
    """The values of each name; empty ones are left out."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._found: dict[str, list[str]] = {}
        for name, value in pairs:
            if value.strip():
                self._found.setdefault(name, []).append(value.strip())

    def all(self, name: str) -> list[str]:
        return self._found.get(name, [])

    def last(self, name: str) -> str:
        return self.all(name)[-1] if self.all(name) else ""


def read_view(pairs: Iterable[tuple[str, str]]) -> Reading:
    """Raises InvalidInput for what no page of ours sends; what a person may mistype becomes a problem of its field."""
    asked, problems, given = _Pairs(pairs), {}, {}
    amounts: dict[str, Decimal | None] = {}
    for field_name, typed in (("amount_from", "least"), ("amount_to", "most")):
        as_typed = asked.last(typed)
        text = as_typed or asked.last(field_name)
        try:
            amounts[field_name] = (read_amount(text) if as_typed else _plain_amount(text)) if text else None
        except ValueError:
            amounts[field_name], given[typed] = None, text
            problems[typed] = _("Write an amount as a number.")
    words = asked.last("q")
    if len(words) > MAX_WORDS or not words.isprintable():
        problems["q"], given["q"], words = _("An id has at most %(most)s characters.", most=MAX_WORDS), words[:200], ""
    controls = {"yes": True, "no": False}
    if asked.last("control") not in {"", *controls}:
        raise InvalidInput(_("The queue knows no such filter: %(name)s.", name="control"))
    wanted = AlertFilter(
        standing=_one(Standing, "status", asked.all("status")) or Standing.UNCLOSED,
        words=words,
        outcomes=_chosen(Outcome, "outcome", asked.all("outcome")),
        bands=_chosen(ScoreBand, "band", asked.all("band")),
        due=_chosen(DueState, "due", asked.all("due")),
        age=_one(Age, "age", asked.all("age")),
        reasons=_texts("reason", asked.all("reason")),
        currencies=_texts("currency", asked.all("currency")),
        entities=tuple(
            (kind, _texts(kind.value, asked.all(kind.value)[-1:])[0]) for kind in EntityKind if asked.last(kind.value)
        ),
        control=controls.get(asked.last("control")),
        **amounts,
    )
    order = _one(Order, "order", asked.all("order")) or Order.NEWEST
    return Reading(QueueView(wanted, order, _hidden(asked)), problems, given)


def _hidden(asked: _Pairs) -> tuple[str, ...]:
    """A form names the columns to show, an address those to hide."""
    if asked.last("cols"):
        return tuple(name for name in COLUMNS if name not in asked.all("col"))
    return tuple(name for name in COLUMNS if name in asked.all("hide"))


def read_query(query: str) -> QueueView:
    """A view from the query of an address, such as a form's hidden field holds. Raises InvalidInput."""
    try:
        return read_view(parse_qsl(query, max_num_fields=200)).view
    except ValueError:
        raise InvalidInput(_("The queue knows no such view.")) from None


def _whole(text: str) -> int:
    """Raises ValueError."""
    if not -(10**16) < int(text) < 10**16:
        raise ValueError(text)
    return int(text)


_VALUES: Final[Mapping[Order, Callable[[str], datetime | int | float]]] = {
    Order.NEWEST: read_moment,
    Order.DUE: read_moment,
    Order.LOSS: _whole,
    Order.AMOUNT: _whole,
    Order.SCORE: float,
}


def read_queue_place(text: str, order: Order) -> Place | None:
    """What `place_text` made of a place in this order. Raises InvalidInput."""
    found = read_place_by(text, _VALUES[order])
    return Place(*found) if found else None
