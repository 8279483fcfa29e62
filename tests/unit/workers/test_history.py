"""Which of several statements about one payment counts."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from core.base.terms import Label, LabelSource
from core.tables.casework import TransactionLabel
from workers.history import _Statement, _weigh

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def said(label: Label, source: LabelSource, day: int) -> TransactionLabel:
    moment = DAY + timedelta(days=day)
    return TransactionLabel(
        id=uuid4(), transaction_uid=uuid4(), label=label.value, label_source=source.value, reported_at=moment,
        received_at=moment, actor_type="system", actor_id="test",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "fraud"),
    [
        ([(Label.FRAUD, LabelSource.ANALYST, 1), (Label.LEGITIMATE, LabelSource.ANALYST, 2)], False),
        ([(Label.FRAUD, LabelSource.ANALYST, 2), (Label.LEGITIMATE, LabelSource.ANALYST, 1)], True),
        ([(Label.FRAUD, LabelSource.CHARGEBACK, 1), (Label.LEGITIMATE, LabelSource.ANALYST, 9)], True),
        ([(Label.LEGITIMATE, LabelSource.ANALYST, 1), (Label.FRAUD, LabelSource.CHARGEBACK, 9)], True),
        ([(Label.FRAUD, LabelSource.ANALYST, 1), (Label.UNSURE, LabelSource.ANALYST, 2)], None),
        ([(Label.FRAUD, LabelSource.CHARGEBACK, 1), (Label.UNSURE, LabelSource.ANALYST, 2)], True),
    ],
)
def test_the_weightiest_then_the_latest_statement_counts(
    statements: list[tuple[Label, LabelSource, int]], fraud: bool | None
) -> None:
    truth: dict[int, _Statement] = {}
    for statement in statements:
        _weigh(truth, 0, said(*statement))
    assert (truth[0].fraud if 0 in truth else None) is fraud
