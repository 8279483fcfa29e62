"""Reasons are faithful: take away what a reason rests on, and the score moves the way the reason said.

A reason rests on past payments or labels: they are taken out of the history, which is replayed. One that rests on the payment alone
(its amount, its hour) is taken away by giving its group what is usual.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from backend import synthetic
from core.contracts.messages import Payment
from models.features.catalogue import CATALOGUE_VERSION, FEATURES, NAMES, SUBJECTS
from models.features.facts import FACTS
from models.features.offline import History, Labels, replay
from models.features.vector import FloatArray, FloatMatrix, IntArray
from models.scoring.artifact import FORMAT, Artifact, Calibration, Thresholds, encode, pack, pack_ensemble
from models.scoring.dataset import Dataset
from models.scoring.evidence import AMOUNTS, FRAUDS, LABELS, PAIR, PLACES, Evidence
from models.scoring.explainer import Explainer
from models.scoring.packing import usual_values
from models.scoring.reasons import reasons
from models.scoring.scorer import Scorer
from models.scoring.training import TrainingOptions, grow

DAY_MS = 86_400_000
HANDBOOK = Path(__file__).parents[4] / "shared" / "data" / "handbook_2018-04-01_2018-07-10.parquet"
PAYMENT = Payment(
    uid=UUID(int=1), source_id="s", transaction_id="t", occurred_at_ms=0, accepted_at_ms=0, amount_minor=1,
    currency="EUR", customer_id="c",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A stream, its vectors, and a model that learned from its beginning."""

    history: History
    matrix: FloatMatrix
    scorer: Scorer
    alerts: IntArray
    """Rows with the highest scores among the latest."""

    def margin(self, vector: FloatArray) -> float:
        return float(self.scorer.score(vector[None]).margin[0])


def learned(history: History, fraud: IntArray, customer: IntArray, alerts: int, *, test_days: int = 10) -> Case:
    matrix = replay(history)
    times = history.occurred_at_ms
    until = int(times[-1]) - test_days * DAY_MS
    old = np.flatnonzero(times < until)
    rows = Dataset(matrix, fraud, times, times + DAY_MS, history.amount, np.full(len(fraud), -1), customer).rows(old)
    scorer = Scorer.load(grown(rows))
    new = np.flatnonzero(times >= until)
    highest = np.argsort(-scorer.score(matrix[new]).margin)[:alerts]
    return Case(history, matrix, scorer, new[highest])


def grown(rows: Dataset) -> bytes:
    """A model file of the default trees, without calibration."""
    model = grow(rows, TrainingOptions(), lambda _share: None)
    low, usual, high = usual_values(rows)
    golden = rows.matrix[:20]
    return encode(
        Artifact(
            format=FORMAT,
            catalogue_version=CATALOGUE_VERSION,
            features=list(NAMES),
            ensemble=pack_ensemble(model.ensemble()),
            calibration=Calibration(1.0, 0.0),
            thresholds=Thresholds(0.5, 0.9),
            golden=pack(golden),
            golden_margins=pack(model.margin(golden)),
            usual=pack(usual),
            usual_range=pack(np.stack([low, high])),
            lineage={},
        )
    )


@pytest.fixture(scope="module")
def made_up() -> Case:
    past = synthetic.history(days=60, per_day=140, until=datetime(2026, 3, 1, tzinfo=UTC), seed=3)
    payments, row_of = past.payments, {payment.transaction_id: row for row, payment in enumerate(past.payments)}
    occurred = np.array([payment.occurred_at_ms for payment in payments])
    labelled = np.array([row_of[label.transaction_id] for label in past.labels])
    reported = np.array([int(label.reported_at.timestamp() * 1000) for label in past.labels])
    said = np.array([label.label == "fraud" for label in past.labels])
    columns: dict[str, Any] = {
        kind: [getattr(payment, name) for payment in payments]
        for kind, name in (("customer", "customer_id"), ("card", "card_id"), ("merchant", "merchant_id"),
                           ("device", "device_id"), ("ip", "ip"), ("category", "merchant_category"),
                           ("country", "merchant_country"), ("billing_country", "billing_country"))
    }  # fmt: skip
    history = History.of(
        occurred,
        np.array([payment.amount_minor for payment in payments]),
        [payment.currency for payment in payments],
        Labels.on_time(occurred, labelled, reported, said),
        latitude=np.array([np.nan if p.latitude is None else p.latitude for p in payments]),
        longitude=np.array([np.nan if p.longitude is None else p.longitude for p in payments]),
        **columns,
    )
    fraud = np.array([payment.transaction_id in past.frauds for payment in payments]).astype(np.int64)
    return learned(history, fraud, history.subject("customer"), alerts=60)


@pytest.fixture(scope="module")
def handbook() -> Case:
    """The payments of every fortieth customer: histories as long as in the whole file, merchants thinner."""
    if not HANDBOOK.exists():
        pytest.skip("the handbook data is not here")
    import pyarrow.parquet as pq

    table = pq.read_table(HANDBOOK)
    table = table.filter(table["customer_id"].cast("int64").to_numpy() % 40 == 7)
    occurred = table["occurred_at"].cast("timestamp[ms]").cast("int64").to_numpy()
    fraud = table["is_fraud"].cast("int64").to_numpy()
    # Few customers: more of them share a merchant when there are fewer merchants.
    merchant = table["merchant_id"].cast("int64").to_numpy() // 40
    customer = table["customer_id"].cast("int64").to_numpy()
    rows = np.arange(len(occurred))
    labels = Labels.on_time(occurred, rows, occurred + 7 * DAY_MS, fraud == 1)
    amount = np.rint(table["amount"].to_numpy() * 100).astype(np.int64)
    history = History.of(occurred, amount, "EUR", labels, customer=customer, merchant=merchant)
    return learned(history, fraud, customer, alerts=40)


def explained(case: Case) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each alert's strongest reason."""
    explanation = Explainer(case.scorer).explain(case.matrix[case.alerts])
    for place, row in enumerate(case.alerts.tolist()):
        found = reasons(
            case.matrix[row], explanation.contributions[place], PAYMENT, case.scorer.usual, case.scorer.usual_range
        )
        yield row, found[0]


def without(case: Case, row: int, evidence: Evidence) -> FloatArray:
    """The row's vector, had there not been what the reason rests on."""
    payments, labels = behind(case.history, row, evidence)
    kept = np.setdiff1d(np.arange(row + 1), payments)
    place = np.full(len(case.history), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    old = case.history.labels
    mask = (old.position <= row) & (place[old.payment] >= 0)
    mask[labels] = False
    taken = Labels(
        place[old.payment[mask]],
        old.reported_at_ms[mask],
        old.is_fraud[mask],
        np.searchsorted(kept, old.position[mask]).astype(np.int64),
    )
    history = History(case.history.occurred_at_ms[kept], case.history.subjects[kept], case.history.facts[kept], taken)
    return replay(history, keep_from=len(kept) - 1)[0]


def behind(history: History, row: int, evidence: Evidence) -> tuple[IntArray, IntArray]:
    """Rows of the payments and of the label records that made the number, but the payment itself."""
    shared = [SUBJECTS.index(name) for name in (evidence.entity, evidence.other) if name]
    share = np.all(history.subjects[:, shared] == history.subjects[row, shared], axis=1)
    moment = int(history.occurred_at_ms[row])
    none = np.empty(0, dtype=np.int64)
    if evidence.what in (FRAUDS, LABELS):
        labels = history.labels
        until = moment // DAY_MS * DAY_MS + DAY_MS - 1 if evidence.by_day else moment
        counts = share[labels.payment] & (labels.position <= row) & (labels.reported_at_ms <= until)
        if evidence.window_s:
            counts &= labels.reported_at_ms > until - evidence.window_s * 1000
        if evidence.what == FRAUDS:
            counts &= labels.is_fraud
        found = np.flatnonzero(counts)
        return none, newest(found, labels.reported_at_ms, evidence.most)
    rows = np.flatnonzero(share[:row])
    if evidence.what == PAIR:
        return rows[len(rows) - (evidence.count or 0) :], none
    rows = rows[history.occurred_at_ms[rows] <= moment]
    if evidence.window_s:
        rows = rows[history.occurred_at_ms[rows] > moment - evidence.window_s * 1000]
    if evidence.what == PLACES:
        rows = rows[history.facts[rows, FACTS.index("latitude")] >= 0]
    itself = 0 if evidence.what == AMOUNTS else 1
    most = None if evidence.most is None else evidence.most - itself
    return newest(rows, history.occurred_at_ms, most), none


def newest(rows: IntArray, times: IntArray, most: int | None) -> IntArray:
    ordered = rows[np.argsort(times[rows], kind="stable")]
    return ordered if most is None else ordered[max(0, len(ordered) - most) :]


def neutral(case: Case, row: int, code: str) -> FloatArray:
    """The row's vector with what is usual in this group."""
    columns = [column for column, feature in enumerate(FEATURES) if feature.group == code]
    vector = case.matrix[row].copy()
    vector[columns] = case.scorer.usual[columns]
    return vector


@dataclass
class Tally:
    right: int = 0
    of: int = 0

    def add(self, right: bool) -> None:
        self.right, self.of = self.right + right, self.of + 1

    @property
    def share(self) -> float:
        return self.right / self.of


def tally(case: Case) -> dict[str, Tally]:
    found = {"history": Tally(), "itself": Tally(), "neutral": Tally()}
    for row, reason in explained(case):
        before, up = case.margin(case.matrix[row]), reason["direction"] == "up"
        moved = case.margin(neutral(case, row, reason["code"])) - before
        found["neutral"].add(bool((moved < 0) == up and moved != 0))
        evidence = Evidence.of_json(reason["evidence"]) if "evidence" in reason else None
        if evidence is None or evidence.only_itself:
            found["itself"].add(bool((moved < 0) == up and moved != 0))
        else:
            moved = case.margin(without(case, row, evidence)) - before
            found["history"].add(bool((moved < 0) == up and moved != 0))
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["made_up", "handbook"])
def test_without_what_the_strongest_reason_rests_on_the_score_moves_as_it_said(
    name: str, request: pytest.FixtureRequest, record_property: Any
) -> None:
    case: Case = request.getfixturevalue(name)
    found = tally(case)
    for kind, one in found.items():
        record_property(kind, f"{one.right} of {one.of}")
    assert found["neutral"].share >= 0.9, found
    assert found["history"].of >= 20, found
    assert found["history"].share >= 0.85, found


def test_nothing_taken_away_changes_nothing(made_up: Case) -> None:
    """The replay of the cut history is the same history."""
    for row in made_up.alerts[:5].tolist():
        nothing = Evidence("x", "customer", PAIR, count=0)
        np.testing.assert_array_equal(without(made_up, row, nothing), made_up.matrix[row])


def test_reasons_of_made_up_alerts_differ(made_up: Case) -> None:
    """Of 60 alerts hardly two are explained with the same words, and the first sentences are many."""
    explanation = Explainer(made_up.scorer).explain(made_up.matrix[made_up.alerts])
    texts = []
    for place, row in enumerate(made_up.alerts.tolist()):
        found = reasons(
            made_up.matrix[row],
            explanation.contributions[place],
            PAYMENT,
            made_up.scorer.usual,
            made_up.scorer.usual_range,
        )
        texts.append([reason["text"] for reason in found])
    assert len({" ".join(text) for text in texts}) >= 0.95 * len(texts)
    assert len({text[0] for text in texts}) >= 0.8 * len(texts)


def test_the_parts_of_an_explanation_add_up_to_the_score(made_up: Case) -> None:
    rows = made_up.matrix[made_up.alerts]
    explanation = Explainer(made_up.scorer).explain(rows)
    margin = explanation.base + explanation.contributions.sum(axis=1)
    assert np.abs(margin - made_up.scorer.score(rows).margin).max() <= 1e-9
    assert set(NAMES) == {feature.name for feature in FEATURES}


def test_what_a_reason_says_is_wrong_when_its_direction_is_turned(made_up: Case) -> None:
    """The check above can fail."""
    wrong = Tally()
    for row, reason in explained(made_up):
        moved = made_up.margin(neutral(made_up, row, reason["code"])) - made_up.margin(made_up.matrix[row])
        wrong.add(bool((moved > 0) == (reason["direction"] == "up")))
    assert wrong.share <= 0.1
