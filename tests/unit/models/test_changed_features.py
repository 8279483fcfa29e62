"""What a changed payment would have been scored with, against a replay in which it really was different."""

from typing import Any

import numpy as np
import pytest

from models.features.catalogue import LARGEST_IN, NAMES, WINDOWS
from models.features.offline import History, Labels, replay
from models.scoring.what_if import Change, Device, Donor, Known, Past, changed

PAYMENTS = 160
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class World:
    """A small stream whose last payment can be different."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        gaps = random.exponential(9 * HOUR_MS, PAYMENTS).astype(np.int64)
        self.at = 1_700_000_000_000 + np.cumsum(gaps)
        self.amount = np.round(random.lognormal(7.5, 1.0, PAYMENTS)).astype(np.int64)
        self.columns: dict[str, list[Any]] = {
            name: [f"{name}{number}" for number in random.integers(0, many, PAYMENTS)]
            for name, many in (("customer", 3), ("card", 4), ("merchant", 5), ("device", 5), ("ip", 6), ("category", 3))
        }
        self.columns["country"] = list(random.choice(["DE", "FR", "BR"], PAYMENTS))
        self.columns["billing_country"] = ["DE"] * PAYMENTS
        fraud = random.random(PAYMENTS - 20) < 0.2
        rows = np.arange(PAYMENTS - 20)
        self.labels = Labels.on_time(self.at, rows, self.at[rows] + 3 * DAY_MS, fraud)

    def vectors(self, **last: Any) -> Any:
        columns = {name: [*values[:-1], last.get(name, values[-1])] for name, values in self.columns.items()}
        at, amount = self.at.copy(), self.amount.copy()
        at[-1], amount[-1] = last.get("at", at[-1]), last.get("amount", amount[-1])
        return replay(History.of(at, amount, "EUR", self.labels, **columns))

    def vector(self, **last: Any) -> list[float | None]:
        return as_stored(self.vectors(**last)[-1])

    def known(self) -> Known:
        own = self.columns["customer"][-1]
        past = [
            Past(int(self.at[row]), int(self.amount[row]), *(self.columns[name][row] for name in ("category", "country", "device")))
            for row in range(PAYMENTS - 2, -1, -1)
            if self.columns["customer"][row] == own
        ]  # fmt: skip
        return Known(int(self.at[-1]), int(self.amount[-1]), "DE", has_card=True, past=past, largest=self.largest())

    def largest(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for kind in ("customer", "card", "merchant", "device", "ip"):
            for window in LARGEST_IN:
                inside = [
                    int(self.amount[row])
                    for row in range(PAYMENTS - 1)
                    if self.columns[kind][row] == self.columns[kind][-1]
                    and self.at[row] > self.at[-1] - WINDOWS[window] * 1000
                ]
                if inside:
                    found[f"{kind}_velocity_{window}_max"] = max(inside)
        return found


def as_stored(vector: Any) -> list[float | None]:
    return [None if value != value else float(value) for value in vector]


def same(found: list[float | None], expected: list[float | None], besides: tuple[str, ...] = ("-",)) -> None:
    differing = {
        name: (one, other)
        for name, one, other in zip(NAMES, found, expected, strict=True)
        if not name.startswith(besides) and not alike(one, other)
    }
    assert not differing


def alike(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and one == pytest.approx(other, rel=1e-9, abs=1e-9))


LENT = {
    "device": ("device_",),
    "category": ("category_risk", "category_labels", "amount_to_category_mean"),
    "country": ("country_risk", "country_labels"),
}


@pytest.mark.parametrize("seed", range(6))
def test_nothing_changed_changes_nothing(seed: int) -> None:
    world = World(seed)
    vector = world.vector()
    assert changed(vector, world.known(), Change()) == vector
    assert changed(vector, world.known(), Change(hundredths=int(world.amount[-1]))) == vector


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("amount", [1, 4_990, 5_000, 250_000])
def test_another_amount_is_exact(seed: int, amount: int) -> None:
    world = World(seed)
    same(changed(world.vector(), world.known(), Change(hundredths=amount)), world.vector(amount=amount))


@pytest.mark.parametrize("seed", range(6))
def test_a_device_never_seen_is_exact(seed: int) -> None:
    world = World(seed)
    found = changed(world.vector(), world.known(), Change(device=Device(None)))
    same(found, world.vector(device="never seen"))


@pytest.mark.parametrize("seed", range(6))
def test_another_hour_is_exact_in_what_it_changes(seed: int) -> None:
    """Moving a payment really would also move the windows that end at it: those stay, and the page says so."""
    world = World(seed)
    at = int(world.at[-1])
    hour = (at // HOUR_MS + 1) % 24
    found = dict(zip(NAMES, changed(world.vector(), world.known(), Change(hour=hour)), strict=True))
    later = dict(zip(NAMES, world.vector(at=at + HOUR_MS), strict=True))
    for name in ("hour", "night", "own_hour_share"):
        assert found[name] == pytest.approx(later[name])
    untouched = dict(zip(NAMES, world.vector(), strict=True))
    assert {name for name in NAMES if found[name] != untouched[name]} <= {"hour", "night", "own_hour_share"}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("what", ["device", "category", "country"])
def test_what_another_payment_lends_is_its_own_and_the_rest_is_exact(seed: int, what: str) -> None:
    world = World(seed)
    other = next(value for value in reversed(world.columns[what][:-1]) if value != world.columns[what][-1])
    row = max(place for place in range(PAYMENTS - 1) if world.columns[what][place] == other)
    donor = Donor(dict(zip(NAMES, as_stored(world.vectors()[row]), strict=True)), int(world.amount[row]))
    change = {
        "device": Change(device=Device(other, donor)),
        "category": Change(category=(other, donor)),
        "country": Change(country=(other, donor)),
    }[what]
    found = changed(world.vector(), world.known(), change)
    lent = LENT[what]
    same(found, world.vector(**{what: other}), besides=lent)
    named = dict(zip(NAMES, found, strict=True))
    if what != "category":
        assert all(
            named[name] == donor.values[name] for name in NAMES if name.startswith(lent) and name != "device_new"
        )
