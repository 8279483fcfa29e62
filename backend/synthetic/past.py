"""The population's past: weeks of payments with campaigns among them, and the labels that had arrived by the end."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from backend.synthetic.campaigns import DAY_MS, SHARE, Campaign, at_compromised_merchant, draw
from backend.synthetic.payments import Drawn, as_body, as_payment, honest, pick_customers, pick_merchants, waking_times
from backend.synthetic.population import HUBS, IntArray, Population, population
from core.base.clock import from_ms, to_ms
from core.base.ids import TransactionId
from core.base.terms import Label
from core.contracts.messages import Payment

FRAUD_SHARE: Final = 0.011
REGULARS: Final = 0.8
"""Share of payments by regular customers, and at regular merchants."""
REPORTED: Final = 0.95
"""Share of frauds that anybody ever notices."""
CONFIRMED: Final = 0.03
"""Share of honest payments that somebody looked into and found right."""
_GOLDEN: Final = 0.618034
"""Steps of this share of the period spread any number of campaigns evenly over it: no week is without."""
_WEEK: Final = (0.93, 0.93, 0.95, 1.0, 1.15, 1.2, 0.84)
"""Traffic by weekday, Monday first."""


@dataclass(frozen=True)
class SyntheticLabel:
    transaction_id: TransactionId
    label: Label
    reported_at: datetime


@dataclass(frozen=True)
class SyntheticHistory:
    """`payments` in time order. `labels`: those that had arrived by the end, in order of arrival.

    `frauds`: ids of every fraud, also of those nobody reported yet.
    """

    payments: list[Payment]
    labels: list[SyntheticLabel]
    frauds: dict[TransactionId, Campaign]


def history(*, days: int = 90, per_day: int = 600, until: datetime, seed: int = 7) -> SyntheticHistory:
    """`days` of about `per_day` payments each, the last one before `until`. Deterministic but for Ronda's own uids."""
    world, rng = population(seed), np.random.default_rng([seed, 2])
    drawn = _period(world, rng, to_ms(until) - days * DAY_MS, days, per_day)
    idents = [TransactionId(f"past_{place:06d}") for place in range(len(drawn))]
    labels = sorted(_labels(rng, drawn, idents), key=lambda label: label.reported_at)
    return SyntheticHistory(
        payments=[as_payment(one, ident, world) for one, ident in zip(drawn, idents, strict=True)],
        labels=[label for label in labels if label.reported_at < until],
        frauds={ident: Campaign(one.campaign) for one, ident in zip(drawn, idents, strict=True) if one.campaign},
    )


def continued(*, days: int = 60, per_day: int = 600, since: datetime, seed: int = 7) -> Iterator[dict[str, Any]]:
    """The same people's life after `since`, for ever, as the API takes it: as dense as their history, with as much fraud."""
    world = population(seed)
    for chapter in itertools.count():
        start_ms = to_ms(since) + chapter * days * DAY_MS
        drawn = _period(world, np.random.default_rng([seed, 4, chapter]), start_ms, days, per_day)
        for place, one in enumerate(drawn):
            yield as_body(one, f"later_{start_ms // 1000:x}_{place:06d}", world)


def _period(world: Population, rng: np.random.Generator, start_ms: int, days: int, per_day: int) -> list[Drawn]:
    """In time order."""
    end_ms = start_ms + days * DAY_MS
    drawn = list(_honest_days(world, rng, start_ms, days, per_day))
    drawn += _frauds(world, rng, start_ms, end_ms, budget=round(len(drawn) * FRAUD_SHARE))
    return sorted((one for one in drawn if start_ms <= one.at_ms < end_ms), key=lambda one: one.at_ms)


def _honest_days(
    world: Population, rng: np.random.Generator, start_ms: int, days: int, per_day: int
) -> Iterator[Drawn]:
    midnight = start_ms - start_ms % DAY_MS + DAY_MS * np.arange(-1, days + 1)
    weekday = (midnight // DAY_MS + 3) % 7
    counts = rng.poisson(per_day * np.array(_WEEK)[weekday])
    days_ms = np.repeat(midnight, counts)
    customers = pick_customers(world, rng, days_ms.size, REGULARS)
    times = waking_times(world, rng, customers, days_ms)
    customers, times = _with_shopping_trips(rng, customers, times)
    merchants = pick_merchants(world, rng, customers, REGULARS)
    yield from honest(world, rng, customers, times, merchants)
    for _ in range(max(1, days // 6)):
        yield from _crowd(world, rng, start_ms + int(rng.uniform(0, days * DAY_MS)))


def _with_shopping_trips(rng: np.random.Generator, customers: IntArray, times: IntArray) -> tuple[IntArray, IntArray]:
    """After one payment in fifty the customer goes on: one to five more within two hours. A busy card is not yet a stolen one."""
    trips = np.flatnonzero(rng.random(customers.size) < 0.02)
    again = np.repeat(trips, rng.integers(1, 6, trips.size))
    later = times[again] + (rng.uniform(2, 120, again.size) * 60_000).astype(np.int64)
    return np.concatenate([customers, customers[again]]), np.concatenate([times, later])


def _crowd(world: Population, rng: np.random.Generator, start_ms: int) -> Iterator[Drawn]:
    """A sale at a big merchant: many different people within an hour. A busy merchant is not yet under attack."""
    customers = pick_customers(world, rng, int(rng.integers(15, 40)), 0.5)
    times = start_ms + (rng.uniform(0, 60, customers.size) * 60_000).astype(np.int64)
    yield from honest(world, rng, customers, times, np.full(customers.size, int(rng.integers(0, HUBS))))


def _frauds(world: Population, rng: np.random.Generator, start_ms: int, end_ms: int, budget: int) -> Iterator[Drawn]:
    """Campaigns of each kind until its share of the budget is spent. One merchant is compromised as the history ends."""
    ongoing_days = min(14, (end_ms - start_ms) // DAY_MS)
    ongoing = at_compromised_merchant(world, rng, world.compromised, end_ms - ongoing_days * DAY_MS, ongoing_days)
    drawn = dict.fromkeys(Campaign, 0)
    for one in ongoing:
        drawn[Campaign.COMPROMISED_MERCHANT] += 1
        yield one
    for kind in Campaign:
        place = float(rng.random())
        while drawn[kind] < SHARE[kind] * budget:
            place = (place + _GOLDEN) % 1.0
            payments = draw(kind, world, rng, _daytime(rng, start_ms + int(place * (end_ms - start_ms))))
            inside = [one for one in payments if start_ms <= one.at_ms < end_ms]
            drawn[kind] += len(inside)
            yield from inside


def _daytime(rng: np.random.Generator, day_ms: int) -> int:
    """Thieves keep office hours too, more or less: the hour alone gives nobody away."""
    return day_ms // DAY_MS * DAY_MS + int(rng.normal(15, 5) % 24 * 3_600_000)


def _labels(rng: np.random.Generator, drawn: list[Drawn], idents: list[TransactionId]) -> Iterator[SyntheticLabel]:
    """Chargebacks take 2 to 20 days; one customer in four calls first; a few honest payments are confirmed."""
    luck, delay = rng.random((len(drawn), 2)), rng.gamma(2.5, 2.4, len(drawn))
    for place, (one, ident) in enumerate(zip(drawn, idents, strict=True)):
        if one.campaign is None:
            if luck[place, 0] < CONFIRMED:
                days = 1 + delay[place] / 3
                yield _label(one, ident, Label.LEGITIMATE, days)
        elif luck[place, 0] < REPORTED:
            called = luck[place, 1] < 0.25
            days = 0.1 + delay[place] / 6 if called else float(np.clip(2 + delay[place], 2, 20))
            yield _label(one, ident, Label.FRAUD, days)


def _label(one: Drawn, ident: TransactionId, label: Label, days: float) -> SyntheticLabel:
    return SyntheticLabel(ident, label, from_ms(one.at_ms) + timedelta(days=round(days, 4)))
