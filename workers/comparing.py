"""Compares what Redis answers now with a replay of what PostgreSQL holds, for a sample of entities, to the last bit, while scoring goes on.

An entity's features depend on the payments that name it, and on nothing else but the customers of its frauds (were those amounts usual?).
So these few are read, and replayed in the order of acceptance. One script call then asks Redis what a payment of each entity would be
answered, and which of the payments and labels that may be under way are part of the state at that very moment: the others are left out
of the replay. What was accepted between the reading and the asking is looked up afterwards; if any of it was taken, Redis is asked again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from core.base.ids import new_uuid
from core.base.terms import EntityKind
from core.contracts.messages import LabelledPayment
from core.infra.resources import Resources
from core.stores import flow
from core.tables.flow import Transaction
from models.features.catalogue import FEATURES, NAMES, Feature
from models.features.offline import replay
from models.features.online import Asked, OnlineFeatures
from workers.history import history_of
from workers.past import Taken, as_taken
from workers.sampled import Entity, Read, draw_entities, entities_of, read_sample, small

DRAWN = 4
"""Payments drawn at once; the entities they name are compared together."""
TRIES = 20
FRUITLESS = 5
"""Draws in a row without a new entity, after which there are no more."""


def _owner(feature: Feature) -> EntityKind | None:
    """Whose state it is read from: the customer's where it is about two."""
    return EntityKind.CUSTOMER if feature.name.startswith("customer_") else feature.entity


COLUMNS: Mapping[EntityKind, npt.NDArray[np.int64]] = {
    kind: np.array([place for place, feature in enumerate(FEATURES) if _owner(feature) is kind]) for kind in EntityKind
}
"""Where in the vector an entity's features are."""


@dataclass(frozen=True)
class Difference:
    """Values: None = not known."""

    entity: EntityKind
    entity_id: str
    feature: str
    redis: float | None
    postgresql: float | None

    def as_json(self) -> dict[str, Any]:
        return {
            "entity": self.entity.value,
            "entity_id": self.entity_id,
            "feature": self.feature,
            "redis": self.redis,
            "postgresql": self.postgresql,
        }

    def words(self) -> str:
        here, there = ("unknown" if value is None else f"{value:.17g}" for value in (self.redis, self.postgresql))
        return f"{self.entity.value} {self.entity_id}: {self.feature} is {here} in Redis, {there} from PostgreSQL"


@dataclass
class Comparison:
    """entities: how many of each kind were compared. unsettled: those that kept changing, or a label of which was taken before its
    payment. too_large: those with too many payments to be compared.
    """

    entities: Counter[str] = field(default_factory=Counter)
    values: int = 0
    differences: list[Difference] = field(default_factory=list)
    unsettled: int = 0
    too_large: int = 0

    @property
    def compared(self) -> int:
        return self.entities.total()

    @property
    def differing(self) -> set[Entity]:
        return {(one.entity, one.entity_id) for one in self.differences}


async def compare(
    resources: Resources, count: int, *, draw: random.Random, report: Callable[[float], None] = lambda _share: None
) -> Comparison:
    """At least `count` entities, or all where there are fewer.

    Raises FeaturesUnavailable, Unavailable; StaleGeneration and ServerRestarted while the state is not whole.
    """
    found, seen, fruitless = Comparison(), set[Entity](), 0
    while found.compared < count and fruitless < FRUITLESS:
        async with resources.postgres.reading() as work:
            drawn = await draw_entities(work, DRAWN, draw) - seen
        seen |= drawn
        fruitless = 0 if drawn else fruitless + 1
        await compare_these(resources, drawn, found)
        report(min(1.0, found.compared / count))
    return found


async def compare_these(resources: Resources, entities: set[Entity], found: Comparison) -> None:
    """Adds to `found`. Raises as `compare` does."""
    async with resources.postgres.reading() as work:
        read = await read_sample(work, await small(work, entities))
    found.too_large += len(entities) - len(read.entities)
    chosen = set(read.entities)
    probes = _probes(read)
    if not probes:
        return
    settled = await _ask(resources, read, probes)
    if settled is None:
        found.unsettled += len(read.entities)
        return
    asked, without = settled
    found.unsettled += len(chosen) - len(read.entities)
    expected = await asyncio.to_thread(_replayed, await read.past(without), probes)
    for probe, redis, postgresql in zip(probes, asked.vectors, expected, strict=True):
        if probe.entity not in read.entities:
            continue
        found.differences += _differences(probe.entity, redis, postgresql)
        found.values += len(COLUMNS[probe.entity[0]])
    found.entities.update(kind.value for kind, _ in read.entities)


@dataclass(frozen=True)
class _Probe:
    """An entity's newest payment once more, at a moment when the entity has something to tell."""

    entity: Entity
    row: Transaction


def _probes(read: Read) -> list[_Probe]:
    """When its newest payment occurred, and when its newest label was reported."""
    newest: dict[Entity, Transaction] = {}
    moments: dict[Entity, set[datetime]] = {}
    for row in read.rows.values():
        for entity in entities_of(row) & read.entities:
            if entity not in newest or newest[entity].occurred_at <= row.occurred_at:
                newest[entity], moments[entity] = row, {row.occurred_at}
    reported: dict[Entity, datetime] = {}
    for item in read.labels.values():
        for entity in entities_of(item.transaction) & read.entities:
            reported[entity] = max(item.label.reported_at, reported.get(entity, item.label.reported_at))
    for entity, moment in reported.items():
        moments[entity].add(moment)
    return [
        _Probe(entity, _repeated(newest[entity], moment))
        for entity in sorted(newest)
        for moment in sorted(moments[entity])
    ]


def _repeated(row: Transaction, moment: datetime) -> Transaction:
    """A row of its own that is never stored."""
    fields = row.model_dump()
    return Transaction(**fields | {"uid": new_uuid(), "occurred_at": moment})


async def _ask(resources: Resources, read: Read, probes: Sequence[_Probe]) -> tuple[Asked, set[UUID]] | None:
    """The answers, and the ids of payments and labels that were not part of the state they come from; None = it kept changing.

    A label that was taken before its payment fits no order: its entities are left out.
    """
    features = OnlineFeatures(resources.redis)
    asking = [flow.payment_of(probe.row) for probe in probes]
    for _ in range(TRIES):
        payments, labels = read.payments_under_way(), read.labels_under_way()
        asked = await features.ask(
            asking,
            payments=[row.uid for row in payments],
            labels=[label for item in labels if isinstance(label := as_taken(item), LabelledPayment)],
        )
        async with resources.postgres.reading() as work:
            rows, more = await read.news(work)
        more_taken = any(await features.taken([row.uid for row in rows.values()]))
        same = (await features.prepare()).generation == asked.generation
        if same and not more and not more_taken:
            left_out = {row.uid for row, taken in zip(payments, asked.payments, strict=True) if not taken}
            for item, taken in zip(labels, asked.labels, strict=True):
                if not taken:
                    left_out.add(item.label.id)
                elif item.label.transaction_uid in left_out:
                    read.entities -= entities_of(item.transaction)
            return asked, left_out
        read.rows |= rows
        read.labels |= more
    return None


def _replayed(past: list[Taken], probes: Sequence[_Probe]) -> list[npt.NDArray[np.float64]]:
    """One row a probe, of a replay that ends with it. Probes that do not touch each other's entities share a replay."""
    groups: list[list[int]] = []
    for place, probe in enumerate(probes):
        for group in groups:
            if not any(probe.entity in entities_of(probes[other].row) for other in group):
                group.append(place)
                break
        else:
            groups.append([place])
    answers: dict[int, npt.NDArray[np.float64]] = {}
    for group in groups:
        history = history_of([*past, *(probes[place].row for place in group)])
        answers |= zip(group, replay(history, keep_from=len(history) - len(group)), strict=True)
    return [answers[place] for place in range(len(probes))]


def _differences(
    entity: Entity, redis: npt.NDArray[np.float64], postgresql: npt.NDArray[np.float64]
) -> list[Difference]:
    columns = COLUMNS[entity[0]]
    here, there = redis[columns], postgresql[columns]
    unequal = columns[~((here == there) | (np.isnan(here) & np.isnan(there)))]
    return [Difference(*entity, NAMES[place], _known(redis[place]), _known(postgresql[place])) for place in unequal]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
