"""Dead letters in words. A body is shown by its fields, and never a card number that got into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from console.i18n import Words, marked, ngettext
from console.i18n import gettext as _
from console.views.audit import actor_name
from console.views.evidence import Fact
from console.views.recorded import retold
from console.views.words import LABEL_SOURCES, LABELS, Moment, count, maybe_moment, middle, moment, money
from core.acts.dead_letters import message_of
from core.base.cards import without_card_numbers, without_long_numbers
from core.base.clock import from_ms
from core.base.terms import DeadLetterState
from core.contracts.messages import LabelsRecorded, Payment, ScoreBatch, TrainingRequested
from core.tables.flow import DeadLetter

STATES: Final = Words(
    {
        DeadLetterState.WAITING: marked("Waiting"),
        DeadLetterState.REDRIVEN: marked("Sent again"),
        DeadLetterState.DISCARDED: marked("Discarded"),
    }
)
FIELDS: Final = Words(
    {
        "uid": marked("Id"),
        "source_id": marked("Source"),
        "transaction_id": marked("Payment id"),
        "transaction_uid": marked("Payment"),
        "occurred_at_ms": marked("Time"),
        "accepted_at_ms": marked("Accepted"),
        "reported_at_ms": marked("Reported"),
        "amount_minor": marked("Amount in minor units"),
        "currency": marked("Currency"),
        "customer_id": marked("Customer"),
        "card_id": marked("Card"),
        "merchant_id": marked("Merchant"),
        "merchant_category": marked("Merchant category"),
        "merchant_country": marked("Merchant country"),
        "billing_country": marked("Billing country"),
        "channel": marked("Channel"),
        "device_id": marked("Device"),
        "ip": marked("IP address"),
        "email_hash": marked("Hash of the e-mail address"),
        "latitude": marked("Latitude"),
        "longitude": marked("Longitude"),
        "label": marked("Label"),
        "label_source": marked("Source of the label"),
        "run_id": marked("Training"),
    }
)
"""Of messages. Attributes are called as their source calls them."""
SHOWN: Final = 20
"""Payments or labels of one message."""
_RAW_BYTES: Final = 4096


@dataclass(frozen=True)
class LetterRow:
    id: str
    href: str
    queue: str
    reason: str
    died: Moment
    payment: str
    """Its payment's id, shortened; else how many it carries; empty when it cannot be read."""
    payment_href: str
    state: str
    state_words: str


@dataclass(frozen=True)
class Part:
    """One payment, label or other thing that a message carries."""

    title: str
    href: str
    facts: list[Fact]


@dataclass(frozen=True)
class Letter:
    row: LetterRow
    facts: list[Fact]
    parts: list[Part]
    unread: str
    """What stands in place of the parts when there are none."""
    more: str
    settled: str
    """Who settled it, and when; empty while it waits."""
    waiting: bool


def listing_href(show: str, reason: str, after: str = "") -> str:
    query = {name: value for name, value in (("show", show), ("reason", reason), ("after", after)) if value}
    return f"/dead-letters?{urlencode(query)}" if query else "/dead-letters"


def reason_words(reason: str) -> str:
    return without_card_numbers(retold(reason))


@dataclass(frozen=True)
class Tab:
    key: str
    words: str
    href: str


def tabs(every: str, reason: str) -> list[Tab]:
    """One a state, and `every` for all of them."""
    named = [*((known.value, words) for known, words in STATES.items()), (every, _("All"))]
    return [Tab(key, words, listing_href(key, reason)) for key, words in named]


def letter_row(row: DeadLetter, now: datetime) -> LetterRow:
    uid = str(row.transaction_uid) if row.transaction_uid else ""
    many = (
        ngettext("%(count)s payment", "%(count)s payments", row.payments, count=count(row.payments))
        if row.payments
        else ""
    )
    return LetterRow(
        id=str(row.id),
        href=f"/dead-letters/{row.id}",
        queue=row.queue or _("not known"),
        reason=reason_words(row.reason),
        died=moment(row.died_at, now),
        payment=middle(uid) or many,
        payment_href=f"/transactions/{uid}" if uid else "",
        state=row.state,
        state_words=STATES[DeadLetterState(row.state)],
    )


def letter(row: DeadLetter, names: Mapping[UUID, str], now: datetime) -> Letter:
    parts, more = _parts(row.body, now)
    return Letter(
        row=letter_row(row, now),
        facts=[
            Fact(_("Died"), "", moment=moment(row.died_at, now)),
            Fact(_("Queue"), row.queue or _("not known"), mono=True),
            Fact(_("Message id"), row.message_id, mono=True),
            Fact(_("Size"), _("%(size)s bytes", size=count(len(row.body)))),
        ],
        parts=parts,
        unread="" if parts else _("This message cannot be read as any that Ronda knows, so it has no fields to show."),
        more=more,
        settled=settled(row, names, now),
        waiting=row.state == DeadLetterState.WAITING.value,
    )


def settled(row: DeadLetter, names: Mapping[UUID, str], now: datetime) -> str:
    """`Sent again by Ana, 31 Jan 09:30`; empty while it waits."""
    at = maybe_moment(row.settled_at, now)
    if at is None:
        return ""
    kind, __, ident = (row.settled_by or "").partition(":")
    return _(
        "%(state)s by %(who)s, %(when)s",
        state=STATES[DeadLetterState(row.state)],
        who=actor_name(kind, ident, names),
        when=at.full,
    )


def raw(body: bytes) -> str:
    """The first bytes as text; what cannot be printed is a dot."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in body[:_RAW_BYTES])
    return without_long_numbers(text) + ("…" if len(body) > _RAW_BYTES else "")


def _parts(body: bytes, now: datetime) -> tuple[list[Part], str]:
    """(what it carries, what is left out)."""
    match message_of(body):
        case ScoreBatch(payments=payments):
            found = [_payment(payment, now) for payment in payments[:SHOWN]]
            return found, _left_out(len(payments), _("payments"))
        case LabelsRecorded(labels=labels):
            found = [
                _plain(_("Label"), f"/transactions/{label.transaction_uid}", label, now) for label in labels[:SHOWN]
            ]
            return found, _left_out(len(labels), _("labels"))
        case TrainingRequested() as asked:
            return [_plain(_("Training"), "/models", asked, now)], ""
        case _:
            return [], ""


def _left_out(number: int, noun: str) -> str:
    return _("and %(number)s more %(noun)s", number=count(number - SHOWN), noun=noun) if number > SHOWN else ""


def _payment(payment: Payment, now: datetime) -> Part:
    part = _plain(_("Payment"), f"/transactions/{payment.uid}", payment, now)
    amount, minor = Fact(_("Amount"), money(payment.amount_minor, payment.currency)), FIELDS["amount_minor"]
    return Part(part.title, part.href, [amount, *(fact for fact in part.facts if fact.title != minor)])


def _plain(title: str, href: str, carried: msgspec.Struct, now: datetime) -> Part:
    facts: list[Fact] = []
    for name, value in msgspec.to_builtins(carried).items():
        facts += _facts(name, value, now)
    return Part(title, href, facts)


def _facts(name: str, value: Any, now: datetime) -> list[Fact]:
    title = FIELDS.get(name) or name.removesuffix("_ms").replace("_", " ").capitalize()
    if name.endswith("_ms") and isinstance(value, int):
        return [Fact(title, "", moment=moment(from_ms(value), now))]
    if isinstance(value, dict):
        return [fact for key, inner in value.items() for fact in _facts(str(key), inner, now)]
    if value is None or name in ("type", "v"):
        return []
    words = LABELS.get(value) if name == "label" else LABEL_SOURCES.get(value) if name == "label_source" else None
    return [Fact(title, words or without_card_numbers(str(value)), mono=name.endswith(("id", "uid")))]
