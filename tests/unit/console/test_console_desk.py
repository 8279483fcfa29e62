"""The desk's words: time left, what can be undone, sums of many."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from console.views import bulk, verdicts
from console.views.desk import clock_words, undo_of
from core.base.errors import NotAllowedNow
from core.base.ids import new_uuid
from core.base.terms import REASONS, DispositionReason, EntityList, Label
from core.tables.casework import Alert, Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_alert(**changes: object) -> Alert:
    columns = {
        "id": new_uuid(), "transaction_uid": new_uuid(), "status": "closed", "outcome": "review", "score": 0.4,
        "expected_loss_minor": 100, "amount_minor": 1_250, "currency": "EUR", "customer_id": "cus", "top_reason": "words",
        "occurred_at": NOW, "opened_at": NOW, "version": 2, **changes,
    }  # fmt: skip
    return Alert(**columns)


def a_verdict(alert: Alert, **changes: object) -> Verdict:
    columns = {
        "id": new_uuid(), "alert_id": alert.id, "label": "fraud", "reason": "scam", "label_id": new_uuid(),
        "message_id": new_uuid(), "decided_by": new_uuid(), "decided_at": NOW, "undo_until": NOW + timedelta(seconds=9.4),
        **changes,
    }  # fmt: skip
    return Verdict(**columns)


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0:00"), (0, "0:00"), (61.9, "1:01"), (899, "14:59"), (8 * 3600 - 1, "7:59:59")]
)
def test_the_time_left_reads_like_a_clock(seconds: float, words: str) -> None:
    assert clock_words(NOW + timedelta(seconds=seconds), NOW) == words


def test_every_reason_has_its_words_and_one_label() -> None:
    listed = [reason for reasons in REASONS.values() for reason in reasons]
    assert sorted(listed) == sorted(DispositionReason)
    assert set(REASONS) == set(Label)
    assert len(set(verdicts.DISPOSITION_REASONS.values())) == len(DispositionReason)
    assert {choice.key for choice in verdicts.list_choices()} == set(EntityList)


def test_an_undo_names_what_it_takes_back_and_ends_with_its_window() -> None:
    alert = an_alert()
    verdict = a_verdict(alert)
    undo = undo_of(verdict, alert, alert, NOW)
    assert undo is not None
    assert (undo.words, undo.seconds, undo.here) == ("€12.50 closed: Fraud, scam victim", "9", True)
    assert undo.href == f"/alerts/{alert.id}/undo"
    assert undo_of(verdict, alert, alert, verdict.undo_until) is None
    assert undo_of(a_verdict(alert, undone_at=NOW), alert, alert, NOW) is None
    many = undo_of(a_verdict(alert, batch_id=UUID(int=5)), alert, None, NOW, together=12)
    assert many is not None
    assert (many.words, many.here) == ("12 alerts closed: Fraud, scam victim", False)
    assert many.href == f"/queue/bulk/{UUID(int=5)}/undo"


def test_sums_stand_by_currency_and_never_mix() -> None:
    alerts = [an_alert(), an_alert(amount_minor=50), an_alert(currency="JPY", amount_minor=900, expected_loss_minor=9)]
    found = [(one.currency, one.alerts, one.amount, one.expected_loss) for one in bulk.sums(alerts)]
    assert found == [("EUR", "2", "€13.00", "€2.00"), ("JPY", "1", "¥900", "¥9")]


def test_refusals_are_counted_most_frequent_first() -> None:
    problems = [NotAllowedNow("this is closed"), NotAllowedNow("a colleague has it"), NotAllowedNow("this is closed")]
    assert [(why.words, why.alerts) for why in bulk.why_not(problems)] == [
        ("This is closed.", "2"),
        ("A colleague has it.", "1"),
    ]
