"""One drawn payment, and how honest people pay."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from backend.synthetic.population import (
    CATEGORIES,
    CURRENCY,
    HOMES,
    MERCHANTS,
    PLACES,
    REGULAR_CUSTOMERS,
    REGULAR_MERCHANTS,
    SOURCE,
    FloatArray,
    IntArray,
    Population,
    customer_id,
    home_address,
    merchant_id,
    passing_address,
    token,
)
from core.base.clock import from_ms, rfc3339
from core.base.ids import TransactionId, new_uuid
from core.contracts.messages import Payment

IN_STORE: Final = "in_store"
ONLINE: Final = "ecommerce"
SYNTHETIC: Final[dict[str, Any]] = {"synthetic": True}


class Drawn(NamedTuple):
    """A payment without its id. `customer` and `merchant` are indices into the population; device, ip, e-mail only online."""

    at_ms: int
    amount_cents: int
    customer: int
    card: str
    merchant: int
    online: bool
    device: str | None = None
    ip: str | None = None
    campaign: str | None = None
    """The fraud campaign it belongs to; None = honest. Never sent."""


def as_body(drawn: Drawn, ident: str, world: Population) -> dict[str, Any]:
    """The payment as the API takes it."""
    fields = _optional(drawn, world)
    return {
        "id": ident,
        "occurred_at": rfc3339(from_ms(drawn.at_ms)),
        "amount": f"{drawn.amount_cents // 100}.{drawn.amount_cents % 100:02d}",
        "currency": CURRENCY,
        "customer_id": customer_id(drawn.customer),
        **fields,
    }


def as_payment(drawn: Drawn, ident: str, world: Population) -> Payment:
    """The payment as history that was accepted the moment it occurred."""
    return Payment(
        uid=new_uuid(),
        source_id=SOURCE,
        transaction_id=TransactionId(ident),
        occurred_at_ms=drawn.at_ms,
        accepted_at_ms=drawn.at_ms,
        amount_minor=drawn.amount_cents,
        currency=CURRENCY,
        customer_id=customer_id(drawn.customer),
        **_optional(drawn, world),
    )


def _optional(drawn: Drawn, world: Population) -> dict[str, Any]:
    place = PLACES[world.merchants.place[drawn.merchant]]
    fields: dict[str, Any] = {
        "card_id": drawn.card,
        "merchant_id": merchant_id(drawn.merchant),
        "merchant_category": CATEGORIES[world.merchants.category[drawn.merchant]].code,
        "merchant_country": place.country,
        "channel": ONLINE if drawn.online else IN_STORE,
        "billing_country": HOMES[world.customers.home[drawn.customer]].country,
        "attributes": SYNTHETIC,
    }
    if drawn.online:
        fields["device_id"], fields["ip"] = drawn.device, drawn.ip
        fields["email_hash"] = token("email", world.seed, drawn.customer)
    else:
        # A shop stands within a few kilometres of its city's centre, always at the same spot.
        fields["latitude"] = round(place.latitude + (drawn.merchant % 97 - 48) / 1000, 4)
        fields["longitude"] = round(place.longitude + (drawn.merchant % 89 - 44) / 1000, 4)
    return fields


def own_card(world: Population, customer: int, second: bool = False) -> str:
    return token("card", world.seed, customer, int(second))


def own_device(world: Population, customer: int, which: int = 0) -> str:
    """One customer in thirty shares the first device with a neighbour."""
    owner = customer - 1 if customer % 30 == 29 and which == 0 else customer
    return token("dev", world.seed, owner, which)


def new_device(rng: np.random.Generator) -> str:
    return token("dev", int(rng.integers(0, 2**62)))


def honest(
    world: Population, rng: np.random.Generator, customers: IntArray, times_ms: IntArray, merchants: IntArray
) -> Iterator[Drawn]:
    """What these customers pay these merchants at these times, with the oddities of honest life.

    Now and then a much larger purchase, a new device, an address on the road, the other card.
    """
    online = rng.random(customers.size) < _online_share(world, customers, merchants)
    amounts = _amounts(world, rng, customers, merchants)
    second_card = (customers % 5 == 0) & (rng.random(customers.size) < 0.3)
    for place, customer in enumerate(customers.tolist()):
        is_online = bool(online[place])
        device, ip = _machine(world, rng, customer) if is_online else (None, None)
        card = own_card(world, customer, bool(second_card[place]))
        yield Drawn(
            int(times_ms[place]), int(amounts[place]), customer, card, int(merchants[place]), is_online, device, ip
        )


def _machine(world: Population, rng: np.random.Generator, customer: int) -> tuple[str, str]:
    """(device, IP address): mostly the customer's own, sometimes just bought, sometimes on the road."""
    new, second, away = rng.random(3)
    device = new_device(rng) if new < 0.015 else own_device(world, customer, int(second < 0.3))
    return device, passing_address(rng) if away < 0.06 else home_address(customer)


def _online_share(world: Population, customers: IntArray, merchants: IntArray) -> FloatArray:
    """A merchant far from home is mostly met online; the rest are travellers."""
    share = np.array([category.online for category in CATEGORIES])[world.merchants.category[merchants]]
    near = world.merchants.place[merchants] == world.customers.home[customers]
    return np.where(near, share * world.customers.online[customers], 0.95)


def _amounts(world: Population, rng: np.random.Generator, customers: IntArray, merchants: IntArray) -> IntArray:
    """In cents. One payment in a hundred is four to ten times as large as usual."""
    category = world.merchants.category[merchants]
    typical = np.array([one.typical for one in CATEGORIES])[category]
    spread = np.array([one.spread for one in CATEGORIES])[category]
    noise = np.exp(rng.normal(0, 1, customers.size) * spread)
    large = np.where(rng.random(customers.size) < 0.01, rng.uniform(4, 10, customers.size), 1.0)
    amounts = typical * world.customers.generosity[customers] * world.merchants.dearness[merchants] * noise * large
    cents: IntArray = np.maximum(np.rint(amounts * 100), 50).astype(np.int64)
    return cents


def pick_customers(world: Population, rng: np.random.Generator, n: int, regular_share: float) -> IntArray:
    regular = rng.choice(REGULAR_CUSTOMERS, n, p=world.customers.pace[:REGULAR_CUSTOMERS])
    others = rng.integers(REGULAR_CUSTOMERS, len(world.customers.pace), n)
    return np.where(rng.random(n) < regular_share, regular, others)


def pick_merchants(world: Population, rng: np.random.Generator, customers: IntArray, regular_share: float) -> IntArray:
    """Four in five are met where the customer lives, the others anywhere. Regular merchants have their regulars."""
    n = customers.size
    home = world.customers.home[customers]
    local = rng.random(n) < 0.8
    merchants = np.empty(n, dtype=np.int64)
    anywhere = rng.choice(REGULAR_MERCHANTS, n, p=world.merchants.popularity[:REGULAR_MERCHANTS])
    rare = rng.integers(REGULAR_MERCHANTS, MERCHANTS, n)
    for place in range(len(HOMES)):
        here = np.flatnonzero(home == place)
        regulars = np.flatnonzero(world.merchants.place[:REGULAR_MERCHANTS] == place)
        weights = world.merchants.popularity[regulars]
        merchants[here] = rng.choice(regulars, here.size, p=weights / weights.sum())
        # Half of the visits go to the customer's own few: the same number always leads to the same merchant.
        loyal = here[rng.random(here.size) < 0.5]
        favourite = (customers[loyal] * 7 + rng.integers(0, 4, loyal.size) * 13) % regulars.size
        merchants[loyal] = regulars[favourite]
    merchants = np.where(local, merchants, anywhere)
    return np.where(rng.random(n) < regular_share, merchants, rare)


def waking_times(world: Population, rng: np.random.Generator, customers: IntArray, days_ms: IntArray) -> IntArray:
    """A time of each given day (its midnight, UTC) at which this customer is up."""
    hours = (world.customers.hour[customers] + rng.normal(0, 3.2, customers.size)) % 24
    return days_ms + (hours * 3_600_000).astype(np.int64)
