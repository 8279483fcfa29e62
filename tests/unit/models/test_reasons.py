"""Reasons read like an analyst's words and differ with the case."""

import re
from dataclasses import replace
from uuid import UUID

import msgspec
import numpy as np
import pytest

from core.base.terms import Language
from core.contracts.messages import Payment
from models.features.catalogue import FEATURES, GROUPS, NAMES, SUBJECTS
from models.scoring.dataset import Dataset
from models.scoring.evidence import Evidence, evidence_of
from models.scoring.explainer import Explainer
from models.scoring.packing import usual_values
from models.scoring.reasons import MOST_REASONS, reasons
from models.scoring.scorer import Scorer
from models.scoring.telling import retell
from models.scoring.words import clause, duration, in_words, money, number


def payment(currency: str = "BRL") -> Payment:
    return Payment(
        uid=UUID(int=1), source_id="s", transaction_id="t", occurred_at_ms=0, accepted_at_ms=0, amount_minor=94_000,
        currency=currency, customer_id="c",
    )  # fmt: skip


def vector(**values: float) -> np.ndarray:
    row = np.full(len(NAMES), np.nan)
    for name, value in values.items():
        row[NAMES.index(name)] = value
    return row


def contributions(**values: float) -> np.ndarray:
    return np.nan_to_num(vector(**values))


def test_a_reason_names_value_and_usual() -> None:
    found = reasons(
        vector(device_velocity_1h_count=7),
        contributions(device_velocity_1h_count=1.2),
        payment(),
        vector(device_velocity_1h_count=1),
    )
    assert found == [
        {
            "code": "device_activity",
            "text": "7 payments on this device in the last hour; usual is 1.",
            "direction": "up",
            "contribution": pytest.approx(1.2),
            "features": [{"name": "device_velocity_1h_count", "value": 7.0, "contribution": 1.2, "usual": 1.0}],
            "evidence": {
                "feature": "device_velocity_1h_count",
                "entity": "device",
                "what": "payments",
                "window_s": 3600,
                "count": 7,
            },
        }
    ]


def test_the_customers_own_usual_comes_before_everybodys() -> None:
    found = reasons(
        vector(amount=94_000, amount_to_own_median=10, customer_earlier_payments=20),
        contributions(amount=0.8),
        payment(),
        vector(amount=5_000),
    )
    assert found[0]["text"] == "The amount is R$940.00; this customer's usual is R$94.00."
    assert found[0]["features"][0]["usual"] == 9_400


def month_of(count: float, amount: float, **values: float) -> np.ndarray:
    return vector(
        customer_velocity_30d_count=count, customer_velocity_30d_amount=amount, customer_earlier_payments=20, **values
    )


def test_a_multiple_says_of_what() -> None:
    found = reasons(
        vector(amount=94_000, amount_to_own_median=10),
        contributions(amount_to_own_median=0.8),
        payment(),
        np.full(len(NAMES), np.nan),
    )
    assert found[0]["text"] == "The amount is 10 times the median of this customer's earlier payments (R$94.00)."
    told = retell(found[0]["features"], "BRL", Language.PT_BR)
    assert told == "O valor é 10 vezes a mediana das transações anteriores deste cliente (R$\xa094,00)."


@pytest.mark.parametrize(
    ("count", "largest", "words"),
    [
        (1, 94_000, "R$940.00 (this payment alone)"),
        (3, 94_000, "R$940.00 (this payment)"),
        (3, 120_000, "R$1,200.00"),
    ],
)
def test_a_sum_says_when_this_payment_made_it(count: int, largest: int, words: str) -> None:
    found = reasons(
        vector(amount=94_000, merchant_velocity_24h_count=count, merchant_velocity_24h_max=largest),
        contributions(merchant_velocity_24h_max=0.8),
        payment(),
        np.full(len(NAMES), np.nan),
    )
    assert found[0]["text"] == f"The largest payment at this merchant in the last 24 hours is {words}."


def test_a_merchant_category_is_named() -> None:
    grocer = msgspec.structs.replace(payment(), merchant_category="grocery")
    found = reasons(vector(category_code=17_000), contributions(category_code=0.4), grocer, np.full(len(NAMES), np.nan))
    assert found[0]["text"] == "The merchant category (grocery)."


def test_usual_values_are_of_payments_that_could_know_them(dataset: Dataset) -> None:
    """One payment in five names no device, none an address; here most merchants have no known fraud."""
    rare = NAMES.index("merchant_since_fraud_s")
    matrix = dataset.matrix.copy()
    matrix[::3, rare] = np.nan
    assert not np.isnan(usual_values(replace(dataset, matrix=matrix))[:, rare]).any()
    matrix[::2, rare] = np.nan
    low, middle, high = usual_values(replace(dataset, matrix=matrix))
    assert np.isnan(low[rare])
    for name in ("device_velocity_1h_count", "amount"):
        column = NAMES.index(name)
        assert low[column] < middle[column] < high[column]
    assert np.isnan(middle[NAMES.index("ip_velocity_1h_count")])


def test_a_customers_own_pace_leaves_out_the_window_in_question() -> None:
    """30 payments of 10.00 in 29 days, then 5 of 100.00 in one day: usual is one payment of about 10.00."""
    burst = month_of(35, 80_000, customer_velocity_24h_count=5, customer_velocity_24h_amount=50_000)
    found = reasons(
        burst,
        contributions(customer_velocity_24h_count=1.0, customer_velocity_24h_amount=0.9),
        payment(),
        vector(customer_velocity_24h_count=1),
    )
    assert found[0]["text"] == (
        "5 payments by this customer in the last 24 hours; this customer's usual is 1. "
        "R$500.00 in all by this customer in the last 24 hours; this customer's usual is R$10.34."
    )


def test_a_customer_who_only_paid_in_the_window_has_no_own_pace() -> None:
    new = month_of(7, 70_000, customer_velocity_24h_count=5, customer_velocity_24h_amount=50_000)
    found = reasons(
        new, contributions(customer_velocity_24h_count=1.0), payment(), vector(customer_velocity_24h_count=2)
    )
    assert found[0]["text"] == "5 payments by this customer in the last 24 hours; usual is 2."


def test_the_usual_range_is_told_where_the_model_knows_it() -> None:
    low, high = (
        vector(device_velocity_1h_count=1, amount_to_own_mean=0.4),
        vector(device_velocity_1h_count=3, amount_to_own_mean=1.8),
    )
    found = reasons(
        vector(device_velocity_1h_count=7, amount_to_own_mean=6.2),
        contributions(device_velocity_1h_count=1.2, amount_to_own_mean=1.0),
        payment(),
        vector(device_velocity_1h_count=1, amount_to_own_mean=1),
        np.stack([low, high]),
    )
    assert [reason["text"] for reason in found] == [
        "7 payments on this device in the last hour; usual is 1 to 3.",
        "The amount is 6.2 times the mean of this customer's earlier payments; usual is 0.4 to 1.8.",
    ]
    assert found[0]["features"][0]["usual_range"] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("values", "weights", "expected"),
    [
        # The wider of two windows that are told: its rows hold the other's.
        (
            {"device_velocity_1h_count": 3, "device_velocity_24h_count": 9},
            {"device_velocity_1h_count": 1.0, "device_velocity_24h_count": 0.6},
            ("device_velocity_24h_count", 9),
        ),
        # ... but not one that hardly counts.
        (
            {"device_velocity_1h_count": 3, "device_velocity_24h_count": 9},
            {"device_velocity_1h_count": 1.0, "device_velocity_24h_count": 0.3},
            ("device_velocity_1h_count", 3),
        ),
        # What the payment alone made is not blamed on others.
        (
            {"device_velocity_1h_count": 1, "device_velocity_24h_count": 9},
            {"device_velocity_1h_count": 1.0, "device_velocity_24h_count": 0.6},
            ("device_velocity_1h_count", 1),
        ),
    ],
)
def test_the_evidence_is_of_what_the_reason_tells(
    values: dict[str, float], weights: dict[str, float], expected: tuple[str, int]
) -> None:
    found = reasons(vector(**values), contributions(**weights), payment(), np.full(len(NAMES), np.nan))
    assert (found[0]["evidence"]["feature"], found[0]["evidence"]["count"]) == expected


def test_what_the_payment_says_of_itself_has_no_evidence() -> None:
    found = reasons(vector(amount=94_000, hour=3), contributions(amount=1.0, hour=0.5), payment(), vector())
    assert [("evidence" in reason) for reason in found] == [False, False]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_evidence_survives_being_stored(feature) -> None:  # type: ignore[no-untyped-def]
    found = evidence_of(feature, lambda _name: 3.0)
    if found is None:
        assert feature.entity is None
    else:
        assert Evidence.of_json(found.as_json()) == found
        assert found.entity in SUBJECTS


def test_groups_add_up_and_both_directions_are_told() -> None:
    found = reasons(
        vector(merchant_risk_7d=0.4, merchant_frauds_7d=2, night=1, customer_merchant_payments=0),
        contributions(merchant_risk_7d=0.9, merchant_frauds_7d=0.6, night=-0.3, customer_merchant_payments=0.01),
        payment(),
        np.full(len(NAMES), np.nan),
    )
    assert [(reason["code"], reason["direction"]) for reason in found] == [("merchant_fraud", "up"), ("time", "down")]
    assert found[0]["contribution"] == pytest.approx(1.5)
    assert found[0]["text"] == (
        "40% of the payments at this merchant checked in the last 7 days were fraud. "
        "2 payments at this merchant confirmed as fraud in the last 7 days."
    )
    assert found[1]["text"] == "Made at night (00:00 to 07:00 UTC)."


def test_a_feature_that_pulls_the_other_way_does_not_lead() -> None:
    found = reasons(
        vector(customer_velocity_1h_count=9, customer_velocity_7d_count=10),
        contributions(customer_velocity_1h_count=1.0, customer_velocity_7d_count=-0.9),
        payment(),
        np.full(len(NAMES), np.nan),
    )
    assert found[0]["direction"] == "up"
    assert found[0]["text"] == "9 payments by this customer in the last hour."


def test_unknown_values_are_said_to_be_unknown() -> None:
    found = reasons(vector(), contributions(device_velocity_1h_count=0.5), payment(), np.full(len(NAMES), np.nan))
    assert found[0]["text"] == "The payment names no device."
    assert found[0]["features"][0]["value"] is None


def test_reasons_of_real_explanations(dataset: Dataset, scorer: Scorer) -> None:
    rows = dataset.matrix[np.argsort(-scorer.score(dataset.matrix).margin)[:40]]
    explanation = Explainer(scorer).explain(rows)
    told = [reasons(rows[i], explanation.contributions[i], payment(), scorer.usual) for i in range(40)]
    texts = {" ".join(reason["text"] for reason in found) for found in told}
    assert len(texts) == 40, "two payments are never explained in the same words"
    for found in told:
        assert 0 < len(found) <= MOST_REASONS
        sizes = [abs(reason["contribution"]) for reason in found]
        assert sizes == sorted(sizes, reverse=True)
        for reason in found:
            assert reason["code"] in GROUPS
            assert not re.search(r"[a-z]_[a-z]|nan|None", reason["text"])
            assert reason["features"]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_feature_reads_well_at_every_kind_of_value(feature) -> None:  # type: ignore[no-untyped-def]
    for value in (0.0, 1.0, 0.037, 23.5, 1_234_567.0, float("nan")):
        text = clause(feature, value if feature.unit != "hour" else value % 24, "JPY")
        assert text
        assert "{" not in text
        assert "nan" not in text


def test_words() -> None:
    assert money(123_456, "JPY") == "¥1,235"
    assert money(123_456, "KWD") == "KWD\xa01,234.560"
    assert [number(value) for value in (0, 0.0371, 0.5, 1, 9.96, 23.5)] == ["0", "0.04", "0.5", "1", "10", "24"]
    assert [duration(seconds) for seconds in (0, 1, 59, 60, 5_400, 86_400, 20 * 86_400)] == [
        "0 seconds", "1 second", "59 seconds", "1 minute", "1.5 hours", "1 day", "20 days",
    ]  # fmt: skip
    deviations = FEATURES[NAMES.index("amount_own_deviations")]
    assert in_words(deviations, -2.25, "EUR") == "2.2 standard deviations below"
