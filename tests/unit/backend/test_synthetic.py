"""The made-up population: deterministic, acceptable to the API, marked as made up, and with frauds as promised."""

import ipaddress
import itertools
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from backend.intake import parse_label, parse_transaction
from backend.synthetic import SOURCE, LivePayment, SyntheticHistory, history, live
from backend.synthetic.campaigns import Campaign
from core.base.clock import from_ms, to_ms
from core.base.terms import Label
from core.contracts.messages import Payment

UNTIL = datetime(2026, 6, 1, 12, tzinfo=UTC)
RESERVED = [ipaddress.ip_network(one) for one in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]


@pytest.fixture(scope="module")
def past() -> SyntheticHistory:
    return history(until=UNTIL, seed=11)


@pytest.fixture(scope="module")
def present() -> list[LivePayment]:
    return list(itertools.islice(live(11, UNTIL, 5.0), 5000))


def plain(payment: Payment) -> dict[str, Any]:
    """Without Ronda's own id, which is new each time."""
    fields: dict[str, Any] = msgspec.to_builtins(payment)
    del fields["uid"]
    return fields


def test_the_same_seed_makes_the_same_history_and_another_another() -> None:
    one, again, other = (history(days=4, per_day=300, until=UNTIL, seed=seed) for seed in (5, 5, 6))
    assert [plain(payment) for payment in one.payments] == [plain(payment) for payment in again.payments]
    assert one.labels == again.labels
    assert one.frauds == again.frauds
    assert [plain(payment) for payment in one.payments] != [plain(payment) for payment in other.payments]


def test_the_same_start_makes_the_same_stream(present: list[LivePayment]) -> None:
    assert list(itertools.islice(live(11, UNTIL, 5.0), 500)) == present[:500]
    later = list(itertools.islice(live(11, UNTIL + timedelta(hours=1), 5.0), 500))
    assert not {one.body["id"] for one in later} & {one.body["id"] for one in present}


def test_history_has_the_size_and_the_share_of_fraud_it_promises(past: SyntheticHistory) -> None:
    assert 0.9 * 54_000 < len(past.payments) < 1.2 * 54_000
    assert 0.01 <= len(past.frauds) / len(past.payments) <= 0.02
    assert set(past.frauds.values()) == set(Campaign)
    times = [payment.occurred_at_ms for payment in past.payments]
    assert times == sorted(times)
    assert to_ms(UNTIL - timedelta(days=90)) <= times[0]
    assert times[-1] < to_ms(UNTIL)
    uids = [payment.uid for payment in past.payments]
    assert uids == sorted(set(uids)), "the order of acceptance is the order of time"
    assert len({payment.transaction_id for payment in past.payments}) == len(past.payments)


def body_of(payment: Payment) -> dict[str, Any]:
    fields = msgspec.to_builtins(payment)
    for name in ("uid", "source_id", "accepted_at_ms", "amount_minor", "occurred_at_ms", "transaction_id"):
        del fields[name]
    occurred_at = from_ms(payment.occurred_at_ms).isoformat()
    amount = f"{payment.amount_minor / 100:.2f}"
    return {"id": payment.transaction_id, "occurred_at": occurred_at, "amount": amount, **fields}


def test_every_payment_of_the_past_is_one_the_api_would_have_taken(past: SyntheticHistory) -> None:
    for payment in past.payments:
        taken = parse_transaction(json.dumps(body_of(payment)).encode(), SOURCE, UNTIL).payment
        assert plain(taken) | {"accepted_at_ms": payment.accepted_at_ms} == plain(payment)


def test_every_live_payment_is_one_the_api_takes(present: list[LivePayment]) -> None:
    now = UNTIL + timedelta(hours=2)
    for one in present:
        payment = parse_transaction(json.dumps(one.body).encode(), SOURCE, now).payment
        assert payment.amount_minor > 0
        assert payment.ip is None or payment.ip == one.body["ip"], "history and stream write an address alike"


def test_everything_is_marked_and_no_address_or_name_is_real(
    past: SyntheticHistory, present: list[LivePayment]
) -> None:
    bodies = [body_of(payment) for payment in past.payments] + [one.body for one in present]
    for body in bodies:
        assert body["attributes"] == {"synthetic": True}
        assert body["customer_id"].startswith("cus_")
        assert body["card_id"].startswith("card_")
        assert body["merchant_id"].startswith("mer_")
        if "ip" in body:
            address = ipaddress.ip_address(body["ip"])
            assert any(address in network for network in RESERVED if network.version == address.version)


def test_a_campaign_shows_in_behaviour_only(past: SyntheticHistory, present: list[LivePayment]) -> None:
    words = {kind.value for kind in Campaign}
    frauds = [body_of(payment) for payment in past.payments if payment.transaction_id in past.frauds]
    for body in frauds + [one.body for one in present if one.campaign]:
        assert not any(word in json.dumps(body) for word in words)
        assert set(body) <= {*frauds[0], "device_id", "ip", "email_hash", "latitude", "longitude"}


def test_labels_arrive_late_and_are_true(past: SyntheticHistory) -> None:
    payments = {payment.transaction_id: payment for payment in past.payments}
    reported = [label.reported_at for label in past.labels]
    assert reported == sorted(reported)
    assert reported[-1] < UNTIL
    assert Counter(label.label for label in past.labels)[Label.LEGITIMATE] > 100
    slow = 0
    for label in past.labels:
        delay = label.reported_at - from_ms(payments[label.transaction_id].occurred_at_ms)
        assert (label.transaction_id in past.frauds) == (label.label is Label.FRAUD)
        assert timedelta() < delay <= timedelta(days=20.01)
        slow += delay >= timedelta(days=2) and label.label is Label.FRAUD
    assert slow > len(past.frauds) * 0.5, "most frauds are only known from the chargeback"
    known = {label.transaction_id for label in past.labels}
    assert any(ident not in known for ident in past.frauds), "some frauds are not reported yet, or never"


def campaigns_of(past: SyntheticHistory) -> dict[Campaign, list[Payment]]:
    found: dict[Campaign, list[Payment]] = defaultdict(list)
    for payment in past.payments:
        kind = past.frauds.get(payment.transaction_id)  # type: ignore[call-overload]
        if kind:
            found[kind].append(payment)
    return found


def test_card_testing_tries_many_cards_from_one_machine(past: SyntheticHistory) -> None:
    cards = defaultdict(set)
    for payment in campaigns_of(past)[Campaign.CARD_TESTING]:
        cards[payment.device_id].add(payment.card_id)
    assert sum(len(tried) >= 10 for tried in cards.values()) >= 3


def test_a_takeover_comes_from_a_device_nobody_had(past: SyntheticHistory) -> None:
    taken = campaigns_of(past)[Campaign.TAKEOVER]
    honest = {payment.device_id for payment in past.payments if payment.transaction_id not in past.frauds}
    assert not honest & {payment.device_id for payment in taken}
    assert sum(payment.amount_minor for payment in taken) / len(taken) > 15_000


def test_a_compromised_merchant_stays_so_for_weeks_and_into_the_present(
    past: SyntheticHistory, present: list[LivePayment]
) -> None:
    days = defaultdict(set)
    for payment in campaigns_of(past)[Campaign.COMPROMISED_MERCHANT]:
        days[payment.merchant_id].add(from_ms(payment.occurred_at_ms).date())
    assert max(len(seen) for seen in days.values()) >= 10
    now = {one.body["merchant_id"] for one in present if one.campaign is Campaign.COMPROMISED_MERCHANT}
    assert len(now) == 1
    assert now <= set(days)


def test_a_velocity_burst_is_one_card_within_the_hour(past: SyntheticHistory) -> None:
    times = defaultdict(list)
    for payment in campaigns_of(past)[Campaign.VELOCITY_BURST]:
        times[payment.card_id].append(payment.occurred_at_ms)
    bursts = [seen for seen in times.values() if len(seen) >= 7]
    assert bursts
    assert sum(seen[6] - seen[0] <= 3_600_000 for seen in bursts) >= len(bursts) * 0.8


def test_the_stream_has_its_rate_and_a_fraud_every_few_seconds(present: list[LivePayment]) -> None:
    seconds = present[-1].after.total_seconds()
    assert 0.9 * 5 < len(present) / seconds < 1.1 * 5
    frauds = [one.after.total_seconds() for one in present if one.campaign]
    assert frauds[0] < 6
    assert max(later - earlier for earlier, later in itertools.pairwise(frauds)) < 25
    assert 10 < seconds / len(frauds) < 15
    assert {one.campaign for one in present} == {None, *Campaign}


def test_a_slow_stream_is_not_all_fraud() -> None:
    slow = list(itertools.islice(live(11, UNTIL, 0.2), 2000))
    assert sum(one.campaign is not None for one in slow) / len(slow) <= 0.06


def test_live_customers_do_not_pay_every_minute(present: list[LivePayment]) -> None:
    honest = Counter(one.body["customer_id"] for one in present if not one.campaign)
    assert max(honest.values()) <= 3


def test_the_present_knows_the_past(past: SyntheticHistory, present: list[LivePayment]) -> None:
    known = {payment.customer_id: payment.card_id for payment in past.payments}
    regulars = [one for one in present if one.body["customer_id"] in known]
    assert len(regulars) > len(present) * 0.1


def test_reports_of_live_payments_are_true_and_the_api_takes_them(present: list[LivePayment]) -> None:
    for one in present:
        if one.label is None:
            continue
        assert (one.label is Label.FRAUD) == (one.campaign is not None)
        assert timedelta(seconds=30) <= one.reported_after <= timedelta(minutes=4)
    frauds = [one for one in present if one.campaign]
    assert 0.5 < sum(one.label is Label.FRAUD for one in frauds) / len(frauds) < 0.95


def test_label_bodies_are_valid() -> None:
    from backend.demo import report_body

    for label in (Label.FRAUD, Label.LEGITIMATE):
        assert parse_label(json.dumps(report_body("live_1", label)).encode()).label is label
