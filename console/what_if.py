"""What may be changed about a payment, and the questions that a scorer is asked about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from core.base.clock import to_ms, utc_now
from core.base.ids import new_uuid
from core.base.money import from_hundredths, to_hundredths
from core.contracts.messages import Payment
from core.contracts.what_if import Answer, Question, Variant
from core.infra.asking import ask
from core.infra.postgres import UnitOfWork
from core.infra.redis import Redis
from core.stores import surroundings, what_if
from core.stores.flow import payment_of
from core.stores.what_if import ScoredPayment
from core.tables.flow import Decision, Transaction
from models.features.catalogue import CATALOGUE_VERSION, LARGEST_IN, MEMORY, NAMES, WINDOWS
from models.scoring.what_if import Change, Device, Donor, Known, Past, changed

ANSWER_WITHIN_S: Final = 3.0
_MOST_CHOICES: Final = 8
_AMOUNT_STEPS: Final = 20
NEW_DEVICE: Final = "new"


@dataclass(frozen=True)
class Lent:
    """A choice that takes features over from another payment. at: when that was."""

    ident: str
    donor: Donor
    at: datetime


@dataclass(frozen=True)
class Choices:
    """What there is to choose from; each by its value in the form."""

    devices: dict[str, Lent]
    categories: dict[str, Lent]
    countries: dict[str, Lent]
    channels: list[str]


@dataclass(frozen=True)
class Desk:
    """Everything about one payment that its what-ifs need."""

    row: Transaction
    decision: Decision
    known: Known
    choices: Choices


@dataclass(frozen=True)
class Wish:
    """A change as somebody asks for it. Empty stays."""

    amount_minor: int | None = None
    hour: int | None = None
    device: str = ""
    category: str = ""
    country: str = ""
    channel: str = ""

    @property
    def any(self) -> bool:
        return self != Wish()


async def desk_for(work: UnitOfWork, row: Transaction, decision: Decision) -> Desk:
    earlier = await surroundings.earlier_payments(work, row)
    own = await what_if.scored_of_customer(work, row, decision)
    lately = await what_if.scored_lately(work, row, decision)
    devices = _first_of_each(own, "device", row.device_id)
    categories = _first_of_each(lately, "category", row.merchant_category)
    countries = _first_of_each(lately, "country", row.merchant_country)
    picked = [*devices, *categories, *countries]
    vectors = await what_if.vectors_of(work, [payment.uid for payment in picked], decision.catalogue_version)

    def lent(payments: Sequence[ScoredPayment], what: str) -> dict[str, Lent]:
        found = {}
        for payment in payments:
            if payment.uid in vectors:
                donor = Donor(
                    dict(zip(NAMES, vectors[payment.uid], strict=True)),
                    to_hundredths(payment.amount_minor, payment.currency),
                )
                found[getattr(payment, what)] = Lent(getattr(payment, what), donor, payment.occurred_at)
        return found

    windows = {window: WINDOWS[window] for window in LARGEST_IN}
    largest = await what_if.largest_others(work, row, windows, MEMORY.own_payments)
    known = Known(
        at_ms=to_ms(row.occurred_at),
        hundredths=to_hundredths(row.amount_minor, row.currency),
        billing_country=row.billing_country,
        has_card=row.card_id is not None,
        past=[
            Past(
                to_ms(past.occurred_at),
                to_hundredths(past.amount_minor, past.currency),
                past.merchant_category,
                past.merchant_country,
                past.device_id,
            )
            for past in earlier
        ],
        largest={
            f"{kind}_velocity_{window}_max": to_hundredths(minor, row.currency)
            for (kind, window), minor in largest.items()
        },
    )
    channels = sorted({past.channel for past in earlier if past.channel} - {row.channel})
    choices = Choices(
        lent(devices, "device"), lent(categories, "category"), lent(countries, "country"), channels[:_MOST_CHOICES]
    )
    return Desk(row, decision, known, choices)


def _first_of_each(payments: Sequence[ScoredPayment], what: str, own: str | None) -> list[ScoredPayment]:
    """Of each value but `own` the newest payment, at most _MOST_CHOICES, the most frequent values first."""
    first: dict[str, ScoredPayment] = {}
    times: dict[str, int] = {}
    for payment in payments:
        value = getattr(payment, what)
        if value is not None and value != own:
            first.setdefault(value, payment)
            times[value] = times.get(value, 0) + 1
    return [first[value] for value in sorted(first, key=lambda value: -times[value])[:_MOST_CHOICES]]


def variant(desk: Desk, wish: Wish) -> Variant:
    """Raises KeyError for a choice there is not."""
    row, choices = desk.row, desk.choices
    device = None
    if wish.device:
        lent = None if wish.device == NEW_DEVICE else choices.devices[wish.device]
        device = Device(lent.ident, lent.donor) if lent else Device(None)
    change = Change(
        hundredths=None if wish.amount_minor is None else to_hundredths(wish.amount_minor, row.currency),
        hour=wish.hour,
        device=device,
        category=(wish.category, choices.categories[wish.category].donor) if wish.category else None,
        country=(wish.country, choices.countries[wish.country].donor) if wish.country else None,
    )
    return Variant(_payment(desk, wish), changed(desk.decision.features, desk.known, change))


def _payment(desk: Desk, wish: Wish) -> Payment:
    """As the rules see it."""
    own = payment_of(desk.row)
    at_ms = own.occurred_at_ms
    if wish.hour is not None:
        at_ms += (wish.hour - at_ms // 3_600_000 % 24) * 3_600_000
    device = own.device_id if not wish.device else None if wish.device == NEW_DEVICE else wish.device
    return msgspec.structs.replace(
        own,
        amount_minor=own.amount_minor if wish.amount_minor is None else wish.amount_minor,
        occurred_at_ms=at_ms,
        device_id="a device never seen before" if wish.device == NEW_DEVICE else device,
        merchant_category=wish.category or own.merchant_category,
        merchant_country=wish.country or own.merchant_country,
        channel=wish.channel or own.channel,
    )


def single_changes(desk: Desk) -> list[Wish]:
    """Every single change that might clear an alert, the smallest of a kind first."""
    row, own = desk.row, Wish()
    steps = [row.amount_minor * (_AMOUNT_STEPS - step) / _AMOUNT_STEPS for step in range(1, _AMOUNT_STEPS)]
    rounded = [from_hundredths(round(to_hundredths(round(step), row.currency)), row.currency) for step in steps]
    hour = desk.known.at_ms // 3_600_000 % 24
    hours = sorted(
        (other for other in range(24) if other != hour), key=lambda other: min((other - hour) % 24, (hour - other) % 24)
    )
    # To a payment that names no device, say in a shop, a device would be no small change.
    devices = [*desk.choices.devices, NEW_DEVICE] if row.device_id else []
    return [
        *(replace(own, amount_minor=amount) for amount in dict.fromkeys(rounded) if 0 < amount < row.amount_minor),
        *(replace(own, hour=other) for other in hours),
        *(replace(own, device=ident) for ident in devices),
        *(replace(own, country=country) for country in desk.choices.countries),
        *(replace(own, category=category) for category in desk.choices.categories),
        *(replace(own, channel=channel) for channel in desk.choices.channels),
    ]


async def asked(redis: Redis, variants: Sequence[Variant]) -> Answer | None:
    """None when no scorer answered in time."""
    question = Question(
        id=new_uuid(), asked_at_ms=to_ms(utc_now()), catalogue_version=CATALOGUE_VERSION, variants=list(variants)
    )
    body = await ask(redis, question.id, msgspec.msgpack.encode(question), within_s=ANSWER_WITHIN_S)
    if body is None:
        return None
    found = msgspec.msgpack.decode(body, type=Answer)
    return found if len(found.said) == len(variants) else None
