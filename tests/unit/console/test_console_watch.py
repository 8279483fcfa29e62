"""What monitoring saw, in words: on the report, and as a proposal on the models page."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.router import templates
from console.views.watch import proposal, watch
from core.base.ids import new_uuid
from core.tables.policy import ModelWatch
from tests.console_reports import a_proposal, a_watch

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def a_look(figures: dict[str, Any], **changes: Any) -> ModelWatch:
    values: dict[str, Any] = {
        "id": new_uuid(), "model_id": "0123456789ab", "measured_at": NOW - timedelta(minutes=12), "figures": figures,
        "window_from": NOW - timedelta(days=7), "window_until": NOW, "proposal": None,
    }  # fmt: skip
    return ModelWatch(**{**values, **changes})


def text_of(look: ModelWatch) -> str:
    page = templates().from_string('{% from "_watch.html" import monitoring with context %}{{ monitoring(watch) }}')
    return " ".join(re.sub(r"<[^>]+>", " ", page.render(watch=watch(look, NOW))).split())


def test_everything_that_was_measured_is_shown() -> None:
    text = text_of(a_look(a_watch(), proposal=a_proposal()))
    assert "measured 12 min ago, payments from 17 Nov to 24 Nov" in text
    assert "Average precision 0.610 (0.560 to 0.650)" in text
    assert "0.742 (0.700 to 0.780) when it was judged. It has decayed, in every week since 19 Oct." in text
    assert "1 feature of 15 has moved, in 9,800 payments" in text
    assert "moved since 2 Nov 0.410" in text
    assert "4 more that have not moved" in text
    assert "The score: PSI 0.310, moved." in text
    assert "First-time use 110 83 7 50 55.6% 30.0% to 60.0%" in text
    assert "All alerts 140 113 7 60 50.0%" in text
    assert "92.5% of 40 analysts’ labels (80.0% to 97.0%): fraud 37 of 40 times." in text
    assert "Half of the frauds are known 3.5 days after the payment" in text
    assert "Payments are judged once they are 21 days old." in text
    assert "Another training is proposed" in text


def test_what_was_not_measured_says_so() -> None:
    nothing = {
        "payments": 0, "drift": [], "score": None, "precision": None, "performance": None, "notes": ["too few payments yet"],
        "labels": {"curve": [], "frauds": 3, "half_days": None, "old_enough_days": 7.0, "measured": False},
    }  # fmt: skip
    text = text_of(a_look(nothing, window_from=None, window_until=None))
    assert "Too few payments yet." in text
    assert "Not compared yet" in text
    assert "Too few frauds to measure it" in text
    assert "No alert is old enough" in text
    assert "to judge the model again" in text
    assert "None" not in text
    assert "proposed" not in text


def test_an_empty_look_is_no_error() -> None:
    assert "Not compared yet" in text_of(a_look({}))


def test_what_moved_comes_first_and_the_interval_is_drawn() -> None:
    found = watch(a_look(a_watch()), NOW)
    assert [row.moved for row in found.drift] == [True] + [False] * 10
    assert found.performance is not None
    assert len(found.performance.bands) == 1
    assert [line.kind for line in found.performance.lines] == ["champion", "challenger", "flat"]


def test_a_proposal_names_features_by_their_titles_and_words_stay_words() -> None:
    found = proposal(a_look({}, proposal=a_proposal()), NOW, None)
    assert found is not None
    assert found.reasons[0] == "The scores have moved: PSI 0.31 since 2 Nov 2026."
    assert "customer_velocity" not in found.reasons[1]
    assert found.reasons[1].endswith("amount is still.")
    assert found.href == "/models/0123456789ab#monitoring"
    assert proposal(a_look({}), NOW, None) is None


@pytest.mark.parametrize(
    ("asked", "answered"), [(None, False), (-timedelta(days=1), False), (timedelta(minutes=1), True)]
)
def test_a_training_asked_for_later_answers_a_proposal(asked: timedelta | None, answered: bool) -> None:
    look = a_look({}, proposal=a_proposal())
    found = proposal(look, NOW, look.measured_at + asked if asked else None)
    assert found is not None
    assert found.answered is answered


def test_a_proposal_that_must_wait_says_why() -> None:
    found = proposal(a_look({}, proposal=a_proposal(held_back="values are missing")), NOW, None)
    assert found is not None
    assert found.held_back == "Values are missing."
