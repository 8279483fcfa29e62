"""Lists: standing orders of people about an entity's payments. Pure.

An entry holds by the clock of whoever decides, not by event time: lists are policy, and a payment is decided with the policy in force
when it is decided. So a replay of last year's payments meets today's lists, and an entry that ran out today binds nobody from now on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core.base.terms import EntityKind, EntityList, Outcome
from core.contracts.messages import Payment
from core.rules.engine import RuleHit

FIELDS: Final = {
    EntityKind.CUSTOMER: "customer_id",
    EntityKind.CARD: "card_id",
    EntityKind.MERCHANT: "merchant_id",
    EntityKind.DEVICE: "device_id",
    EntityKind.IP: "ip",
}
"""Where a payment names them."""
ASKS_FOR: Final = {
    EntityList.DENY: Outcome.DECLINE,
    EntityList.ALLOW: Outcome.APPROVE,
    EntityList.WATCH: Outcome.REVIEW,
    EntityList.SNOOZE: Outcome.APPROVE,
}
"""The mildest outcome its hit allows. That allow also takes milder what others ask for is up to `outcome_of`."""
_NOUNS: Final = {kind: "IP address" if kind is EntityKind.IP else kind.value for kind in EntityKind}


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry as the scorer keeps it."""

    id: UUID
    list: EntityList
    kind: EntityKind
    entity_id: str
    reason: str
    expires_at: datetime | None

    def holds(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True)
class ListHit(RuleHit):
    """An entry that held for a payment, shown on its decision like a rule that hit."""

    entry: Listed

    def as_json(self) -> dict[str, str]:
        entry = self.entry
        return {
            **super().as_json(),
            "list": entry.list.value,
            "entity": entry.kind.value,
            "entity_id": entry.entity_id,
            "entry": str(entry.id),
        }


def hit_of(entry: Listed) -> ListHit:
    text = f"{sentence(entry.list, entry.kind)}: {entry.reason}"
    return ListHit(f"{entry.list.value}_list", text, ASKS_FOR[entry.list], entry)


def sentence(entity_list: EntityList, kind: EntityKind) -> str:
    """What a hit's text begins with; the reason follows after a colon."""
    return f"This {_NOUNS[kind]} is on the {entity_list.value} list"


class Lists:
    """Entries by entity. A payment costs one look for each kind of entity that is listed at all."""

    def __init__(self, entries: Iterable[Listed] = (), version: int = 0) -> None:
        self.version = version
        """Of the last change it knows."""
        self._by_kind: dict[EntityKind, dict[str, list[Listed]]] = {}
        for entry in sorted(entries, key=lambda entry: _WEIGHT[entry.list]):
            self._by_kind.setdefault(entry.kind, {}).setdefault(entry.entity_id, []).append(entry)

    def __len__(self) -> int:
        return sum(len(entries) for ids in self._by_kind.values() for entries in ids.values())

    def hits(self, payment: Payment, now: datetime) -> list[ListHit]:
        """Those that hold now, the weightiest first."""
        found: list[Listed] = []
        for kind, ids in self._by_kind.items():
            found += ids.get(getattr(payment, FIELDS[kind]), ())
        held = sorted((entry for entry in found if entry.holds(now)), key=lambda entry: _WEIGHT[entry.list])
        return [hit_of(entry) for entry in held]


_WEIGHT: Final = {entity_list: place for place, entity_list in enumerate(EntityList)}


def allowed(hits: Iterable[RuleHit]) -> bool:
    return _on(EntityList.ALLOW, hits)


def snoozed(hits: Iterable[RuleHit]) -> bool:
    return _on(EntityList.SNOOZE, hits)


def _on(entity_list: EntityList, hits: Iterable[RuleHit]) -> bool:
    return any(isinstance(hit, ListHit) and hit.entry.list is entity_list for hit in hits)
