"""A sample of entities, and what PostgreSQL says of them: the payments that name them, labels, and which may still be under way."""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from core.base.clock import utc_now
from core.base.terms import EntityKind, Label
from core.infra.postgres import UnitOfWork
from core.stores import casework, commit_order, sampling
from core.stores.casework import ArrivedLabel
from core.stores.commit_order import Place
from core.stores.flow import ENTITY_COLUMNS
from core.tables.flow import Transaction
from models.features.catalogue import UNEXPLAINED
from models.features.online import MEMO_S
from workers.past import Taken, past_of

Entity = tuple[EntityKind, str]
MOST_PAYMENTS = 5_000
"""An entity with more is not compared: a comparison has to stay cheap."""
MOST_ROWS, MOST_LABELS, AT_ONCE = 200_000, 50_000, 5_000
LABEL_UNDER_WAY = timedelta(minutes=10)
"""A label that was received before that has to be part of the state."""
GUARDED = timedelta(seconds=MEMO_S) - timedelta(days=1)
COMMITTING = timedelta(minutes=1)
"""Longer than it takes from the moment a label is said to be received to its commit."""


def entities_of(row: Transaction) -> set[Entity]:
    named = ((kind, getattr(row, column)) for kind, column in ENTITY_COLUMNS.items())
    return {(kind, entity_id) for kind, entity_id in named if entity_id is not None}


async def draw_entities(work: UnitOfWork, payments: int, draw: random.Random) -> set[Entity]:
    """Those that some payments name. Recently accepted payments are drawn more often: what goes wrong is mostly new."""
    span = await sampling.accepted_span(work)
    drawn: set[Entity] = set()
    for _ in range(payments if span else 0):
        assert span is not None
        oldest, newest = span
        row = await sampling.first_accepted(work, newest - (newest - oldest) * draw.random() ** 3)
        drawn |= entities_of(row) if row else set()
    return drawn


async def small(work: UnitOfWork, entities: Iterable[Entity]) -> set[Entity]:
    """Those with no more than MOST_PAYMENTS."""
    return {
        (kind, entity_id)
        for kind, entity_id in entities
        if await sampling.names_at_most(work, kind, entity_id, MOST_PAYMENTS)
    }


@dataclass
class Read:
    """entities: those of which everything was read. place: up to it everything was. with_features: payments that certainly were taken."""

    entities: set[Entity]
    rows: dict[Place, Transaction]
    labels: dict[UUID, ArrivedLabel]
    with_features: set[UUID]
    place: Place
    moment: datetime

    def payments_under_way(self) -> list[Transaction]:
        """Nothing in the database says whether these were taken."""
        recent = self.moment - GUARDED
        return [
            row
            for row in self.rows.values()
            if not row.imported and row.accepted_at > recent and row.uid not in self.with_features
        ]

    def labels_under_way(self) -> list[ArrivedLabel]:
        """New ones, and those whose payment is under way."""
        recent, waiting = self.moment - LABEL_UNDER_WAY, {row.uid for row in self.payments_under_way()}
        return [
            item
            for item in self.labels.values()
            if _counts(item) and (item.label.received_at > recent or item.label.transaction_uid in waiting)
        ]

    async def past(self, without: Collection[UUID]) -> list[Taken]:
        """In the order it was taken. without: ids of payments and labels that were not."""
        rows = [row for _, row in sorted(self.rows.items()) if row.uid not in without]
        there = {row.uid for row in rows}
        labels = [
            item
            for item in self.labels.values()
            if item.label.id not in without and item.label.transaction_uid in there and _counts(item)
        ]
        return await past_of(rows, labels)

    async def news(self, work: UnitOfWork) -> tuple[dict[Place, Transaction], dict[UUID, ArrivedLabel]]:
        """What is stored by now, of these entities, and was not read."""
        rows: dict[Place, Transaction] = {}
        place: Place | None = self.place
        while place:
            behind = await commit_order.accepted_behind(work, place, settled=False, limit=AT_ONCE)
            rows |= {at: row for at, row in behind if at not in self.rows and self.entities & entities_of(row)}
            place = behind[-1][0] if len(behind) == AT_ONCE else None
        labels = await casework.labels_since(work, self.moment - COMMITTING, limit=MOST_LABELS)
        more = {
            item.label.id: item
            for item in labels
            if item.label.id not in self.labels and _counts(item) and self.entities & entities_of(item.transaction)
        }
        return rows, more


async def read_sample(work: UnitOfWork, entities: set[Entity]) -> Read:
    """Of entities that are `small`. A merchant or device is left out when a customer of its frauds is not."""
    moment, place = utc_now(), await commit_order.newest_settled(work)
    rows = dict(await sampling.naming(work, _by_kind(entities), limit=MOST_ROWS))
    labels = await sampling.labels_of(work, list(rows.values()), limit=MOST_ROWS)
    frauds = [item.transaction for item in labels if item.label.label == Label.FRAUD.value]
    customers = {(EntityKind.CUSTOMER, row.customer_id) for row in frauds} - entities
    known = await small(work, customers)
    for row in frauds:
        if (EntityKind.CUSTOMER, row.customer_id) in customers - known:
            entities = entities - {(kind, entity_id) for kind, entity_id in entities_of(row) if kind in UNEXPLAINED}
    rows |= dict(await sampling.naming(work, _by_kind(known), limit=MOST_ROWS))
    labels = await sampling.labels_of(work, list(rows.values()), limit=MOST_ROWS)
    with_features = await sampling.decided_with_features(work, [row.uid for row in rows.values()])
    return Read(entities, rows, {item.label.id: item for item in labels}, with_features, place, moment)


def _by_kind(entities: Iterable[Entity]) -> dict[EntityKind, list[str]]:
    by_kind: dict[EntityKind, list[str]] = {}
    for kind, entity_id in entities:
        by_kind.setdefault(kind, []).append(entity_id)
    return by_kind


def _counts(item: ArrivedLabel) -> bool:
    """UNSURE says nothing about the payment's history."""
    return item.label.label != Label.UNSURE.value
