"""The population's present: an endless stream of payments with a fraud every few seconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from backend.synthetic.campaigns import SHARE, Campaign, draw, one_at_compromised_merchant
from backend.synthetic.payments import Drawn, as_body, honest, pick_customers, pick_merchants
from backend.synthetic.population import IntArray, Population, population
from core.base.clock import to_ms
from core.base.terms import Label

REGULARS: Final = 0.1
"""Far fewer than in the past: the stream is hundreds of times denser, and nobody pays every minute."""
FRAUD_EVERY_S: Final = 12.0
FIRST_FRAUD_S: Final = 3.0
MOST_FRAUD_SHARE: Final = 0.05
AT_ONCE: Final = 3
"""Campaigns under way at the same time."""
_BATCH: Final = 64
_SIZES: Final = {
    Campaign.CARD_TESTING: 15.0,
    Campaign.TAKEOVER: 4.5,
    Campaign.VELOCITY_BURST: 10.5,
    Campaign.OUTLIER: 1.0,
}
"""Payments of a campaign, about: big ones begin less often. The compromised merchant is there all the time."""


@dataclass(frozen=True)
class LivePayment:
    """`after`: since the stream began. `body`: as the API takes it. `label`: what a report will say after `reported_after`."""

    after: timedelta
    body: dict[str, Any]
    campaign: Campaign | None
    label: Label | None = None
    reported_after: timedelta = timedelta()


def live(seed: int, start: datetime, rate: float) -> Iterator[LivePayment]:
    """`rate` payments a second on average, for ever. Deterministic: the same start gives the same ids and payments.

    Three frauds in four are reported, after half a minute to four minutes: a demo cannot wait for a real chargeback.
    """
    world = population(seed)
    start_ms = to_ms(start)
    rng = np.random.default_rng([seed, 3, start_ms])
    every_s = max(FRAUD_EVERY_S, 1 / (rate * MOST_FRAUD_SHARE))
    honest_ones, frauds = _honest_for_ever(world, rng), _frauds_for_ever(world, rng, start_ms)
    now_s, next_fraud_s, number = 0.0, FIRST_FRAUD_S, 0
    while True:
        now_s += rng.exponential(1 / rate)
        number += 1
        if now_s >= next_fraud_s:
            drawn, next_fraud_s = next(frauds), now_s + rng.uniform(0.5, 1.5) * every_s
        else:
            drawn = next(honest_ones)
        drawn = drawn._replace(at_ms=start_ms + int(now_s * 1000))
        body = as_body(drawn, f"live_{start_ms // 1000:x}_{number:07d}", world)
        label, reported_after = _report(rng, drawn)
        campaign = Campaign(drawn.campaign) if drawn.campaign else None
        yield LivePayment(timedelta(seconds=now_s), body, campaign, label, reported_after)


def _honest_for_ever(world: Population, rng: np.random.Generator) -> Iterator[Drawn]:
    """No customer comes back before 4,000 others have paid: in real life hours would lie between."""
    recent: dict[int, None] = {}
    while True:
        customers = _fresh(pick_customers(world, rng, _BATCH, REGULARS), recent)
        merchants = pick_merchants(world, rng, customers, REGULARS)
        yield from honest(world, rng, customers, np.zeros(customers.size, dtype=np.int64), merchants)


def _fresh(customers: IntArray, recent: dict[int, None]) -> IntArray:
    chosen = [one for one in dict.fromkeys(customers.tolist()) if one not in recent]
    recent.update(dict.fromkeys(chosen))
    for old in list(recent)[: max(0, len(recent) - 4000)]:
        del recent[old]
    return np.array(chosen, dtype=np.int64)


def _frauds_for_ever(world: Population, rng: np.random.Generator, start_ms: int) -> Iterator[Drawn]:
    """A few campaigns take turns, so that each unfolds over minutes and the next alert is never far."""
    first = [Campaign.TAKEOVER, Campaign.CARD_TESTING, Campaign.VELOCITY_BURST]
    running: list[list[Drawn]] = [draw(kind, world, rng, start_ms) for kind in first]
    while True:
        if rng.random() < SHARE[Campaign.COMPROMISED_MERCHANT]:
            yield one_at_compromised_merchant(world, rng, world.compromised, start_ms)
            continue
        turn = int(rng.integers(0, AT_ONCE))
        yield running[turn].pop(0)
        if not running[turn]:
            running[turn] = draw(_next_kind(rng), world, rng, start_ms)


def _next_kind(rng: np.random.Generator) -> Campaign:
    weights = np.array([SHARE[kind] / size for kind, size in _SIZES.items()])
    return list(_SIZES)[int(rng.choice(len(_SIZES), p=weights / weights.sum()))]


def _report(rng: np.random.Generator, drawn: Drawn) -> tuple[Label | None, timedelta]:
    luck, wait = rng.random(), timedelta(seconds=float(rng.uniform(30, 240)))
    if drawn.campaign:
        return (Label.FRAUD, wait) if luck < 0.75 else (None, wait)
    return (Label.LEGITIMATE, wait) if luck < 0.02 else (None, wait)
