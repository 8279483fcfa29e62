"""How thieves pay: each campaign is a handful of payments that belong together."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np

from backend.synthetic.payments import Drawn, new_device, own_card, own_device, pick_customers
from backend.synthetic.population import (
    CATEGORIES,
    HUBS,
    REGULAR_MERCHANTS,
    RESOLD,
    IntArray,
    Population,
    home_address,
    passing_address,
    population,
)

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000


class Campaign(StrEnum):
    """Kinds of fraud that the demo plays."""

    CARD_TESTING = "card_testing"
    TAKEOVER = "takeover"
    COMPROMISED_MERCHANT = "compromised_merchant"
    VELOCITY_BURST = "velocity_burst"
    OUTLIER = "outlier"


SHARE: Final[Mapping[Campaign, float]] = {
    Campaign.CARD_TESTING: 0.27,
    Campaign.TAKEOVER: 0.23,
    Campaign.COMPROMISED_MERCHANT: 0.18,
    Campaign.VELOCITY_BURST: 0.23,
    Campaign.OUTLIER: 0.09,
}
"""Of all fraudulent payments."""


def draw(kind: Campaign, world: Population, rng: np.random.Generator, start_ms: int) -> list[Drawn]:
    """One campaign's payments from `start_ms` on, in time order."""
    return sorted(_DRAWERS[kind](world, rng, start_ms), key=lambda one: one.at_ms)


def _card_testing(world: Population, rng: np.random.Generator, start_ms: int) -> Iterator[Drawn]:
    """Stolen card numbers are tried with tiny amounts from one machine; those that work are emptied soon after."""
    cards = pick_customers(world, rng, int(rng.integers(8, 19)), 0.7)
    device, ip, shop = new_device(rng), passing_address(rng), _shop(world, rng, online=True)
    at = start_ms
    for customer in cards.tolist():
        at += int(rng.uniform(8_000, 90_000))
        cents = int(rng.integers(50, 400))
        yield Drawn(at, cents, customer, own_card(world, customer), shop, True, device, ip, Campaign.CARD_TESTING)
    for customer in rng.choice(cards, int(rng.integers(1, 4)), replace=False).tolist():
        later = at + int(rng.uniform(10, 120) * MINUTE_MS)
        cents = _large_cents(world, rng, customer, 3, 6)
        goods = _shop(world, rng, online=True)
        yield Drawn(later, cents, customer, own_card(world, customer), goods, True, device, ip, Campaign.CARD_TESTING)


def _takeover(world: Population, rng: np.random.Generator, start_ms: int) -> Iterator[Drawn]:
    """Somebody else signs in to an account, often at night, and buys what sells: new device, new address, large amounts."""
    customer = int(pick_customers(world, rng, 1, 0.85)[0])
    device, ip = new_device(rng), passing_address(rng)
    at = start_ms
    if rng.random() < 0.35:
        at += -start_ms % DAY_MS + int(rng.uniform(0, 5 * 60) * MINUTE_MS)
    for _ in range(int(rng.integers(3, 7))):
        cents = _large_cents(world, rng, customer, 1.5, 5)
        shop = _shop(world, rng, online=True)
        yield Drawn(at, cents, customer, own_card(world, customer), shop, True, device, ip, Campaign.TAKEOVER)
        at += int(rng.uniform(3, 20) * MINUTE_MS)


def _compromised_merchant(world: Population, rng: np.random.Generator, start_ms: int) -> Iterator[Drawn]:
    """A merchant's terminal copies cards: for two to four weeks other people's cards pay there, for ordinary amounts."""
    merchant = int(rng.integers(HUBS, REGULAR_MERCHANTS // 2))
    yield from at_compromised_merchant(world, rng, merchant, start_ms, days=int(rng.integers(14, 29)))


def at_compromised_merchant(
    world: Population, rng: np.random.Generator, merchant: int, start_ms: int, days: int
) -> Iterator[Drawn]:
    """About three payments in two days."""
    for day in range(days):
        for _ in range(int(rng.poisson(1.5))):
            at = start_ms + day * DAY_MS + int(rng.uniform(0, DAY_MS))
            yield one_at_compromised_merchant(world, rng, merchant, at)


def one_at_compromised_merchant(world: Population, rng: np.random.Generator, merchant: int, at_ms: int) -> Drawn:
    customer = int(pick_customers(world, rng, 1, 0.7)[0])
    typical = CATEGORIES[world.merchants.category[merchant]]
    cents = max(100, int(typical.typical * world.merchants.dearness[merchant] * np.exp(rng.normal(0.3, 0.5)) * 100))
    card = own_card(world, customer)
    if rng.random() < typical.online:
        device, ip = new_device(rng), passing_address(rng)
        return Drawn(at_ms, cents, customer, card, merchant, True, device, ip, Campaign.COMPROMISED_MERCHANT)
    return Drawn(at_ms, cents, customer, card, merchant, False, None, None, Campaign.COMPROMISED_MERCHANT)


def _velocity_burst(world: Population, rng: np.random.Generator, start_ms: int) -> Iterator[Drawn]:
    """A stolen card goes from shop to shop until it is blocked."""
    customer = int(pick_customers(world, rng, 1, 0.85)[0])
    place = int(world.customers.home[customer])
    near = np.flatnonzero(world.merchants.place == place)
    at = start_ms
    for shop in rng.choice(near, int(rng.integers(7, 15)), replace=False).tolist():
        cents = int(rng.uniform(18, 140) * 100)
        yield Drawn(at, cents, customer, own_card(world, customer), shop, False, None, None, Campaign.VELOCITY_BURST)
        at += int(rng.uniform(1, 5) * MINUTE_MS)


def _outlier(world: Population, rng: np.random.Generator, start_ms: int) -> Iterator[Drawn]:
    """One very large purchase, half of the time from the customer's own device."""
    customer = int(pick_customers(world, rng, 1, 0.85)[0])
    own = rng.random() < 0.5
    device = own_device(world, customer) if own else new_device(rng)
    ip = home_address(customer) if own else passing_address(rng)
    cents, shop = _large_cents(world, rng, customer, 5, 12), _shop(world, rng, online=True)
    yield Drawn(start_ms, cents, customer, own_card(world, customer), shop, True, device, ip, Campaign.OUTLIER)


_DRAWERS: Final[Mapping[Campaign, Callable[[Population, np.random.Generator, int], Iterator[Drawn]]]] = {
    Campaign.CARD_TESTING: _card_testing,
    Campaign.TAKEOVER: _takeover,
    Campaign.COMPROMISED_MERCHANT: _compromised_merchant,
    Campaign.VELOCITY_BURST: _velocity_burst,
    Campaign.OUTLIER: _outlier,
}


def _large_cents(world: Population, rng: np.random.Generator, customer: int, least: float, most: float) -> int:
    """`least` to `most` times what electronics cost this customer."""
    return int(110 * world.customers.generosity[customer] * rng.uniform(least, most) * 100)


def _shop(world: Population, rng: np.random.Generator, *, online: bool) -> int:
    """Sells what is easily sold on; every other one is a merchant that hardly anybody knows."""
    shops = _resellable(world.seed)
    regular = shops[shops < REGULAR_MERCHANTS]
    return int(rng.choice(regular if rng.random() < 0.5 else shops))


@lru_cache(maxsize=2)
def _resellable(seed: int) -> IntArray:
    return np.flatnonzero(np.isin(population(seed).merchants.category, RESOLD))
