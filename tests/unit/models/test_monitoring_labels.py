"""Label arrival against a known delay distribution; alert precision and agreement against hand-made counts."""

import numpy as np
import pytest

from core.base.terms import Label
from models.monitoring.arrival import arrival
from models.monitoring.precision import JudgedAlert, agreement, by_reason, precision, wilson

FRAUD, LEGITIMATE, UNSURE = Label.FRAUD, Label.LEGITIMATE, Label.UNSURE


def test_the_curve_is_the_one_the_delays_were_drawn_from() -> None:
    """Frauds of the last 60 days whose reports take 10 days on average: what was reported by now looks quicker than it is."""
    random = np.random.default_rng(1)
    age, delay = random.uniform(0, 60, 20_000), random.gamma(2.5, 4.0, 20_000)
    seen = delay <= age
    found = arrival(delay[seen], age[seen])
    assert found is not None
    assert found.horizon_days > 40
    for days in (2.0, 5.0, 10.0, 20.0):
        truth = (delay <= days).mean()
        assert found.known_by(days) == pytest.approx(truth, abs=0.015)
    naive = (delay[seen] <= 10).mean()
    assert naive > (delay <= 10).mean() + 0.04
    assert found.days_until(0.9) == pytest.approx(np.quantile(delay, 0.9), rel=0.05)


def test_without_young_payments_it_is_the_plain_share() -> None:
    delay = np.repeat([1.0, 2.0, 5.0, 9.0], [10, 40, 30, 20])
    found = arrival(delay, np.full(100, 90.0))
    assert found is not None
    assert [found.known_by(days) for days in (0.5, 1.0, 2.0, 4.9, 5.0, 9.0)] == pytest.approx(
        [0, 0.1, 0.5, 0.5, 0.8, 1]
    )
    assert [found.days_until(share) for share in (0.1, 0.5, 0.51, 1.0)] == [1.0, 2.0, 5.0, 9.0]
    assert found.curve()[-1] == [7.0, pytest.approx(0.8)]


def test_a_lone_late_report_does_not_speak_for_all_the_others() -> None:
    """At 50 days only one payment is old enough; taken at its word, nothing would be known before."""
    delay, age = np.append(np.full(100, 2.0), 50.0), np.append(np.full(100, 30.0), 51.0)
    found = arrival(delay, age)
    assert found is not None
    assert (found.horizon_days, found.known_by(2.0)) == (2.0, 1.0)


def test_clocks_that_differ_and_reports_of_the_future() -> None:
    delay, age = np.append(np.full(60, -0.5), np.full(40, 10.0)), np.full(100, 5.0)
    found = arrival(delay, age)
    assert found is not None
    assert (found.frauds, found.known_by(0.0)) == (60, 1.0)


def test_too_few_frauds_make_no_curve() -> None:
    assert arrival(np.ones(49), np.full(49, 9.0)) is None
    assert arrival(np.empty(0), np.empty(0)) is None


def test_wilson_is_as_published() -> None:
    """15 of 148 (Newcombe 1998, method 3): .0624 to .1605. Of nothing and of everything it stays inside 0 and 1."""
    assert wilson(15, 148) == pytest.approx([0.0624, 0.1605], abs=5e-5)
    assert wilson(0, 20) == pytest.approx([0.0, 0.1611], abs=5e-5)
    assert wilson(20, 20) == pytest.approx([0.8389, 1.0], abs=5e-5)
    assert wilson(0, 0) is None


def test_wilson_holds_as_often_as_it_says() -> None:
    hits = np.random.default_rng(2).binomial(60, 0.1, 2_000)
    bounds = {count: wilson(int(count), 60) for count in np.unique(hits)}
    covered = [low <= 0.1 <= high for low, high in (bounds[count] or [1, 0] for count in hits)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def alert(
    reason: str, label: Label | None, analyst: Label | None = None, *, later: bool = False, times: int = 1
) -> list[JudgedAlert]:
    return [JudgedAlert(reason, label, analyst, later)] * times


def test_precision_counts_only_what_somebody_was_sure_of() -> None:
    alerts = [
        *alert("device_activity", FRAUD, times=6),
        *alert("device_activity", LEGITIMATE, times=2),
        *alert("device_activity", UNSURE),
        *alert("device_activity", None, times=3),
        *alert("novelty", LEGITIMATE, times=5),
    ]
    devices, novelty = by_reason(alerts)
    assert (devices["reason"], devices["alerts"], devices["labelled"], devices["frauds"]) == (
        "device_activity",
        12,
        8,
        6,
    )
    assert devices["precision"] == 0.75
    assert devices["interval"] == wilson(6, 8)
    assert (novelty["reason"], novelty["precision"]) == ("novelty", 0.0)
    assert precision(alerts)["precision"] == pytest.approx(6 / 13)
    assert precision([])["precision"] is None


def test_alerts_that_stayed_silent_long_enough_count_as_legitimate() -> None:
    """Only chargebacks speak: of the labelled all were fraud, of the alerts a third."""
    silent = [JudgedAlert("amount", None, None, told_later=False, presumed=True)] * 4
    found = precision([*alert("amount", FRAUD, later=True, times=2), *silent, *alert("amount", None)])
    assert (found["alerts"], found["labelled"], found["presumed"], found["frauds"]) == (7, 2, 4, 2)
    assert (found["precision"], found["interval"]) == (pytest.approx(1 / 3), wilson(2, 6))


def test_agreement_is_of_what_was_told_later_only() -> None:
    alerts = [
        *alert("amount", FRAUD, FRAUD, later=True, times=9),
        *alert("amount", LEGITIMATE, FRAUD, later=True),
        *alert("amount", FRAUD, LEGITIMATE, later=True, times=2),
        *alert("amount", FRAUD, FRAUD, times=50),
        *alert("amount", FRAUD, None, later=True, times=50),
        *alert("amount", FRAUD, UNSURE, later=True, times=50),
    ]
    found = agreement(alerts)
    assert (found["payments"], found["agreed"], found["share"]) == (12, 9, 0.75)
    fraud, legitimate = found["said"]
    assert (fraud["label"], fraud["payments"], fraud["confirmed"], fraud["share"]) == ("fraud", 10, 9, 0.9)
    assert (legitimate["label"], legitimate["payments"], legitimate["confirmed"]) == ("legitimate", 2, 0)
    assert legitimate["interval"] == wilson(0, 2)
    assert agreement([])["share"] is None
