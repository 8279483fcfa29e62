"""From vectors to verdicts: score, rules, outcome, and the reasons of what will be looked at. No clients."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.base.terms import FeaturesStatus
from core.contracts.messages import Payment
from core.rules.outcome import outcome_of
from models.features.catalogue import NAMES
from models.features.vector import FloatMatrix
from models.scoring.reasons import reasons
from workers.control import ControlSample
from workers.lineup import Lineup
from workers.verdicts import Explained, Verdict


def judge(
    payments: Sequence[Payment],
    matrix: FloatMatrix,
    status: FeaturesStatus,
    lineup: Lineup,
    control: ControlSample,
    now: datetime,
    *,
    explain: bool = True,
) -> list[Verdict]:
    """One verdict per payment, all with the same model and policy. A degraded batch is left to rules and lists.

    now: by which list entries hold or have run out. explain: with the reasons of what somebody will look at.
    """
    champion = lineup.champion if status is FeaturesStatus.COMPLETE else None
    scores = champion.scorer.score(matrix) if champion else None
    anomalies = champion.scorer.anomaly(matrix) if champion else None
    known = _known(matrix, lineup.rules.features)
    verdicts = []
    for place, payment in enumerate(payments):
        hits = [*lineup.lists.hits(payment, now), *lineup.rules.hits(payment, known[place])]
        probability = float(scores.probability[place]) if scores else None
        verdict = Verdict(
            payment=payment,
            vector=matrix[place],
            status=status,
            score=probability,
            margin=float(scores.margin[place]) if scores else None,
            hits=hits,
            outcome=outcome_of(probability, lineup.thresholds, hits, status),
            explained=None,
            model_id=champion.id if champion else None,
            policy_version=lineup.policy_version,
            anomaly=None if anomalies is None else float(anomalies[place]),
        )
        verdicts.append(control.draw(verdict))
    return _explained(verdicts, matrix, lineup) if champion and explain else verdicts


def _known(matrix: FloatMatrix, wanted: frozenset[str] | None) -> list[dict[str, float]]:
    """The wanted features of each payment that have a value; None = all."""
    columns = [column for column, name in enumerate(NAMES) if wanted is None or name in wanted]
    names = [NAMES[column] for column in columns]
    rows = matrix[:, columns].tolist()
    return [{name: value for name, value in zip(names, row, strict=True) if value == value} for row in rows]


def _explained(verdicts: list[Verdict], matrix: FloatMatrix, lineup: Lineup) -> list[Verdict]:
    """SHAP only for what somebody will look at."""
    champion = lineup.champion
    places = [place for place, verdict in enumerate(verdicts) if verdict.telling]
    if not places or champion is None:
        return verdicts
    explanation = champion.explainer.explain(matrix[places])
    for row, place in enumerate(places):
        contributions = explanation.contributions[row]
        scorer = champion.scorer
        words = reasons(matrix[place], contributions, verdicts[place].payment, scorer.usual, scorer.usual_range)
        explained = Explained(contributions.tolist(), float(explanation.base), words)
        verdicts[place] = replace(verdicts[place], explained=explained)
    return verdicts
