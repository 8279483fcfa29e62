"""Lists: which entries hold for a payment, and what they make of its outcome."""

from datetime import UTC, datetime, timedelta

import pytest

from core.base.ids import new_uuid
from core.base.terms import EntityKind, EntityList, FeaturesStatus, Outcome
from core.contracts.messages import Payment
from core.rules.engine import RuleHit
from core.rules.lists import Listed, Lists, hit_of, snoozed
from core.rules.outcome import Thresholds, outcome_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)
THRESHOLDS = Thresholds(review=0.2, decline=0.8)
COMPLETE, DEGRADED = FeaturesStatus.COMPLETE, FeaturesStatus.DEGRADED
DENY, ALLOW, WATCH, SNOOZE = EntityList
PAYMENT = Payment(
    uid=new_uuid(), source_id="shop", transaction_id="t", occurred_at_ms=1_500_000_000_000, accepted_at_ms=1,
    amount_minor=100, currency="EUR", customer_id="same", device_id="dev_1", ip="10.0.0.1",
)  # fmt: skip


def entry(
    entity_list: EntityList,
    kind: EntityKind = EntityKind.CUSTOMER,
    entity_id: str = "same",
    expires_at: datetime | None = None,
) -> Listed:
    return Listed(new_uuid(), entity_list, kind, entity_id, "because", expires_at)


def test_an_entry_holds_for_its_kind_of_entity_only() -> None:
    lists = Lists([entry(DENY, EntityKind.CARD), entry(DENY, EntityKind.MERCHANT), entry(WATCH, EntityKind.DEVICE)])
    assert lists.hits(PAYMENT, NOW) == []
    assert [hit.code for hit in lists.hits(replaced(card_id="same"), NOW)] == ["deny_list"]
    assert [hit.code for hit in lists.hits(replaced(device_id="same"), NOW)] == ["watch_list"]


def replaced(**fields: str) -> Payment:
    return Payment(**{name: fields.get(name, getattr(PAYMENT, name)) for name in Payment.__struct_fields__})


def test_all_that_hold_are_told_the_weightiest_first() -> None:
    entries = [
        entry(SNOOZE),
        entry(WATCH),
        entry(ALLOW, EntityKind.IP, "10.0.0.1"),
        entry(DENY, EntityKind.DEVICE, "dev_1"),
    ]
    hits = Lists(entries).hits(PAYMENT, NOW)
    assert [hit.text for hit in hits] == [
        "This device is on the deny list: because",
        "This IP address is on the allow list: because",
        "This customer is on the watch list: because",
        "This customer is on the snooze list: because",
    ]
    assert hits[0].as_json() == {
        "code": "deny_list", "text": "This device is on the deny list: because", "outcome": "decline", "list": "deny",
        "entity": "device", "entity_id": "dev_1", "entry": str(entries[3].id),
    }  # fmt: skip


@pytest.mark.parametrize(("left", "holds"), [(timedelta(seconds=1), True), (timedelta(0), False)])
def test_an_entry_holds_until_its_expiry_by_the_clock_not_by_event_time(left: timedelta, holds: bool) -> None:
    """The payment is of 2017; what counts is when it is decided."""
    assert bool(Lists([entry(DENY, expires_at=NOW + left)]).hits(PAYMENT, NOW)) is holds


def test_without_entries_a_payment_costs_nothing() -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> str:
            raise AssertionError(f"read {name}")

    assert Lists().hits(Untouchable(), NOW) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listed", "score", "rules", "status", "outcome"),
    [
        ([DENY], 0.0, [], COMPLETE, Outcome.DECLINE),
        ([DENY, ALLOW], 0.0, [], COMPLETE, Outcome.DECLINE),
        ([DENY], None, [], DEGRADED, Outcome.DECLINE),
        ([WATCH], 0.0, [], COMPLETE, Outcome.REVIEW),
        ([WATCH], 0.9, [], COMPLETE, Outcome.DECLINE),
        ([ALLOW], 0.5, [], COMPLETE, Outcome.APPROVE),
        ([ALLOW], 0.9, [], COMPLETE, Outcome.APPROVE),
        ([ALLOW], 0.0, [Outcome.REVIEW], COMPLETE, Outcome.APPROVE),
        ([ALLOW], 0.0, [Outcome.DECLINE], COMPLETE, Outcome.DECLINE),
        ([ALLOW, WATCH], 0.0, [], COMPLETE, Outcome.APPROVE),
        ([ALLOW], None, [], COMPLETE, Outcome.APPROVE),
        ([ALLOW], None, [], DEGRADED, Outcome.REVIEW),
        ([SNOOZE], 0.1, [], COMPLETE, Outcome.APPROVE),
        ([SNOOZE], 0.5, [], COMPLETE, Outcome.REVIEW),
        ([SNOOZE], 0.5, [Outcome.DECLINE], COMPLETE, Outcome.DECLINE),
    ],
)
def test_what_a_list_makes_of_the_outcome(
    listed: list[EntityList], score: float | None, rules: list[Outcome], status: FeaturesStatus, outcome: Outcome
) -> None:
    hits = [hit_of(entry(one)) for one in listed] + [RuleHit("r", "words", wanted) for wanted in rules]
    assert outcome_of(score, THRESHOLDS, hits, status) is outcome
    assert snoozed(hits) is (SNOOZE in listed)
