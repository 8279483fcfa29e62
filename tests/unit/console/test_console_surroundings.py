"""What is normal for a customer, their timeline, and the picture of linked alerts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.views.links import HEIGHT, MOST_DRAWN, WIDTH, links
from console.views.normal import hours, kilometres, normal, quantile, strip
from console.views.timeline import LISTED, RANGES, span_of, timeline
from core.base.errors import InvalidInput
from core.base.ids import new_uuid
from core.stores.surroundings import MOST_EARLIER, EarlierPayment, LinkedAlert, TimedPayment
from core.tables.casework import Alert, TransactionLabel
from core.tables.flow import Transaction

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


def a_payment(**changes: Any) -> Transaction:
    values = {
        "uid": new_uuid(), "source_id": "shop", "transaction_id": "pay_1", "occurred_at": NOW, "accepted_at": NOW,
        "amount_minor": 90_000, "currency": "EUR", "customer_id": "cus_1", "device_id": "dev_new", "card_id": "card_1",
        "merchant_id": "mer_1", "merchant_country": "DE", "attributes": {},
    }  # fmt: skip
    return Transaction(**{**values, **changes})


def earlier(**changes: Any) -> EarlierPayment:
    values: dict[str, Any] = {
        "occurred_at": NOW - timedelta(days=1), "amount_minor": 2_000, "currency": "EUR", "merchant_id": "mer_1",
        "merchant_category": None, "merchant_country": "DE", "channel": None, "device_id": "dev_old",
        "card_id": "card_1", "ip": None, "latitude": None, "longitude": None,
    }  # fmt: skip
    return EarlierPayment(**{**values, **changes})


def percent_of(text: str) -> float:
    return float(text.removesuffix("%"))


def test_the_strip_marks_the_payment_among_the_earlier_amounts() -> None:
    ordered = [100 * step for step in range(1, 101)]
    shown = strip(90_000, ordered, "EUR")
    assert (shown.low, shown.high, shown.mark) == ("€1.00", "€900.00", "€900.00")
    assert shown.sentence == "Usually €11.00 to €91.00, half of them up to €51.00."
    assert shown.above == "This one is above all 100 of them."
    assert shown.unusual
    places = [percent_of(tick) for tick in shown.ticks]
    assert places == sorted(places)
    assert 0 <= places[0] <= percent_of(shown.band_x) <= percent_of(shown.middle_x) < percent_of(shown.mark_x) <= 100
    assert not strip(5_000, ordered, "EUR").unusual
    assert strip(5_000, ordered, "EUR").above == "This one is above 49% of them."


def test_a_strip_of_one_amount_stands_in_the_middle() -> None:
    shown = strip(500, [500, 500, 500], "EUR")
    assert shown.ticks == ["50.00%"]
    assert shown.above == "This one is not above any of them."


def test_quantiles_are_values_that_occurred() -> None:
    assert [quantile([1, 2, 3], share) for share in (0.1, 0.5, 0.9, 1.0)] == [1, 2, 3, 3]


def test_hours_are_counted_round_the_clock() -> None:
    midnight = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    past = [midnight - timedelta(days=day, hours=1) for day in range(1, 4)]
    past += [midnight + timedelta(hours=12) - timedelta(days=day) for day in range(1, 18)]
    shown = hours(midnight, past)
    assert "3 of 20" in shown.sentence
    assert [bar.hour for bar in shown.bars if bar.here] == [0]
    assert [bar.words for bar in shown.bars if bar.hour in (12, 23)] == ["12:00: 17 payments", "23:00: 3 payments"]
    assert max(float(bar.height) for bar in shown.bars) == 38.0
    assert not shown.unusual
    assert hours(midnight + timedelta(hours=6), past).unusual


def test_what_was_never_there_before_is_told() -> None:
    past = [earlier(merchant_id=f"mer_{place % 3}") for place in range(12)]
    shown = normal(a_payment(), past, NOW)
    habits = {habit.title: habit for habit in shown.habits}
    assert habits["Device"].never
    assert habits["Device"].usual is not None
    assert (habits["Device"].usual.words, habits["Device"].usual.count) == ("dev_old", "12")
    assert (habits["Card"].never, habits["Card"].seen) == (False, "12 of 12")
    assert (habits["Merchant"].seen, habits["Merchant"].others) == ("4 of 12", "and 2 others")
    assert "Channel" not in habits, "nobody ever named one"
    assert shown.based_on == "all 12 payments before this one"
    assert normal(a_payment(), [earlier()] * MOST_EARLIER, NOW).based_on == "the latest 500 payments before this one"


def test_a_customer_without_history_has_nothing_to_compare_with() -> None:
    shown = normal(a_payment(), [], NOW)
    assert (shown.payments, shown.strip, shown.hours, shown.since, shown.distance) == (0, None, None, None, "")
    assert not any(habit.never for habit in shown.habits), "there is nothing that it could have been before"


def test_only_amounts_in_the_same_currency_compare() -> None:
    shown = normal(a_payment(), [earlier(currency="JPY")] * 9 + [earlier()] * 2, NOW)
    assert shown.strip is None
    assert "too few" in shown.no_strip


def test_distance_is_taken_from_the_middle_of_the_earlier_places() -> None:
    lisbon, porto = (38.72, -9.14), (41.15, -8.61)
    assert kilometres(lisbon, porto) == pytest.approx(274, abs=3)
    past = [earlier(latitude=lisbon[0], longitude=lisbon[1] + place / 1000) for place in range(9)]
    far = normal(a_payment(latitude=porto[0], longitude=porto[1]), past, NOW)
    assert far.far
    assert far.distance.startswith("27")
    near = normal(a_payment(latitude=lisbon[0], longitude=lisbon[1]), past, NOW)
    assert not near.far


def timed(**changes: Any) -> TimedPayment:
    values: dict[str, Any] = {
        "uid": new_uuid(), "occurred_at": NOW, "amount_minor": 1_000, "currency": "EUR", "merchant_id": None,
        "imported": False, "score": 0.5, "outcome": "approve", "alert_id": None, "alert_status": None,
    }  # fmt: skip
    return TimedPayment(**{**values, **changes})


def test_the_timeline_marks_this_payment_and_never_drops_an_alert() -> None:
    row = a_payment()
    own = timed(uid=row.uid, amount_minor=row.amount_minor, outcome="review", alert_id=new_uuid(), alert_status="open")
    old = timed(occurred_at=NOW - timedelta(days=6), alert_id=new_uuid(), alert_status="closed", outcome="decline")
    around = [old, *(timed(occurred_at=NOW - timedelta(hours=place)) for place in range(30, 0, -1))]
    label = TransactionLabel(
        id=new_uuid(), transaction_uid=old.uid, label="fraud", label_source="analyst", reported_at=NOW, received_at=NOW,
        actor_type="system", actor_id="test",
    )  # fmt: skip
    shown = timeline("/alerts/a", "7d", row, own, around, {old.uid: label}, NOW)
    assert len(shown.points) == 32
    assert [point.here for point in shown.points].count(True) == 1
    assert shown.points[0].label == "fraud"
    assert shown.summary.startswith("32 payments and 2 alerts in the 7 days")
    assert len(shown.rows) == LISTED
    assert str(old.uid) in [listed.uid for listed in shown.rows]
    assert shown.rows[0].here, "newest first, and nothing came after it"
    assert shown.more == "22 more in the picture."
    assert [choice.key for choice in shown.choices if choice.current] == ["7d"]
    places = [percent_of(point.x) for point in shown.points]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)


def test_a_range_there_is_not_is_refused() -> None:
    for chosen, length in RANGES.items():
        since, until = span_of(chosen, NOW)
        assert NOW - since == length
        assert until > NOW
    with pytest.raises(InvalidInput):
        span_of("1y", NOW)


def linked(kinds: list[str], **changes: Any) -> LinkedAlert:
    values: dict[str, Any] = {
        "id": new_uuid(), "transaction_uid": new_uuid(), "outcome": "review", "score": 0.62, "expected_loss_minor": 6200,
        "amount_minor": 10000, "currency": "EUR", "customer_id": "cus_1", "top_reason": "words", "occurred_at": NOW,
        "opened_at": NOW, "due_at": NOW,
    }  # fmt: skip
    return LinkedAlert(Alert(**{**values, **changes}), kinds)


def test_every_node_of_the_picture_has_room_and_every_link_a_line() -> None:
    many = [linked(["device", "merchant"] if place % 3 else ["merchant"]) for place in range(50)]
    shown = links(a_payment(), many, {}, {}, NOW)
    assert shown.graph is not None
    nodes = shown.graph.nodes
    assert len(nodes) == 1 + 2 + MOST_DRAWN
    assert shown.graph.left_out == "14 more are in the table only."
    assert len(shown.rows) == 50
    spots = [(float(node.x), float(node.y)) for node in nodes]
    assert all(abs(x) <= WIDTH / 2 - 15 and abs(y) <= HEIGHT / 2 - 15 for x, y in spots)
    apart = [((x - a) ** 2 + (y - b) ** 2) ** 0.5 for place, (x, y) in enumerate(spots) for a, b in spots[:place]]
    assert min(apart) > 26, "two nodes cover each other"
    drawn = [node for node in nodes if node.href.startswith("/alerts/")]
    ends = {(edge.x2, edge.y2) for edge in shown.graph.edges}
    assert all((node.x, node.y) in ends for node in drawn)
    assert nodes == links(a_payment(), many, {}, {}, NOW).graph.nodes  # type: ignore[union-attr]


def test_an_alert_that_shares_several_things_has_a_line_to_each() -> None:
    shown = links(a_payment(ip="10.0.0.1"), [linked(["card", "device", "ip"])], {}, {}, NOW)
    assert shown.graph is not None
    assert [edge.kind for edge in shown.graph.edges] == ["own", "own", "own", "first", "also", "also"]
    assert [shared.words for shared in shown.rows[0].shared] == ["Card", "Device", "IP address"]
    assert shown.graph.nodes[1].href == "/entities/card/card_1"


def test_without_links_there_is_a_sentence_and_no_picture() -> None:
    shown = links(a_payment(), [], {}, {}, NOW)
    assert shown.graph is None
    assert shown.sentence.startswith("No other alert")
