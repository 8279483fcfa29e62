"""Everything that is known of a model's quality, as JSON: what the console, the gates and the model card read."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from models.features.catalogue import NAMES
from models.features.vector import FloatArray
from models.scoring import evaluation
from models.scoring.costs import CostModel, cost_report
from models.scoring.dataset import Dataset
from models.scoring.ensemble import LEAF
from models.scoring.explainer import Explainer
from models.scoring.gates import GateLimits, gates
from models.scoring.intervals import Ranked, Resamples, card_precisions, intervals
from models.scoring.latency import latency
from models.scoring.leakage import leakage
from models.scoring.scorer import Scorer
from models.scoring.segments import segment_figures

_EXPLAINED_ROWS: Final = 300
_TOP: Final = 10


@dataclass(frozen=True)
class ReportOptions:
    """resamples: of customers, for the intervals. segment_frauds: fewest for a segment's own ranking and comparison."""

    seed: int = 7
    resamples: int = 200
    confidence: float = 0.95
    segment_frauds: int = 20
    costs: CostModel = field(default_factory=CostModel)
    gates: GateLimits = field(default_factory=GateLimits)


def build_report(
    scorer: Scorer,
    test: Dataset,
    *,
    champion: Scorer | None,
    weeks: list[dict[str, Any]],
    options: ReportOptions,
    learned: Dataset | None = None,
) -> dict[str, Any]:
    """JSON-ready, gates included. weeks: `prequential.week_figures` of each, oldest first. learned: the training slice; a feature may
    know the answer of payments long past and of no others.

    Every `gain` is positive where this model is better than the champion. Raises SingleClassError when the payments are all of one kind.
    """
    thresholds, draws = scorer.thresholds, Resamples.of(test.customer, options.resamples, options.seed)
    probability = scorer.score(test.matrix).probability
    ours = resampled_figures(test, probability, thresholds.review, draws)
    rival, other = _champion(champion, test, ours, draws, options)
    report = {
        **evaluation.scalars(test, probability, thresholds),
        "intervals": intervals({name: ours[name] for name in ours if name != "calibration"}, options.confidence),
        "thresholds": {"review": thresholds.review, "decline": thresholds.decline},
        "precision_recall": evaluation.precision_recall_points(test.is_fraud, probability),
        "reliability": evaluation.reliability(test.is_fraud, probability),
        **cost_report(test, probability, thresholds, options.costs),
        **rival,
        "segments": segment_figures(
            test, probability, other, thresholds.review, draws,
            least_frauds=options.segment_frauds, confidence=options.confidence,
        ),
        "weeks": weeks,
        **_inside(scorer, test, learned, options.seed),
    }  # fmt: skip
    return {**report, "gates": gates(report, options.gates)}


def resampled_figures(rows: Dataset, probability: FloatArray, review: float, draws: Resamples) -> dict[str, FloatArray]:
    """(resamples,) of each scalar. `calibration`: minus the distance of the calibration ratio from 1, in its logarithm."""
    is_fraud, weight = rows.is_fraud, rows.weight
    flagged = probability >= review
    ranked = Ranked.of(is_fraud, probability).resampled(draws, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        total, frauds = draws.sums(weight), draws.sums(weight * is_fraud)
        caught = draws.sums(weight * (flagged & is_fraud))
        ratio = draws.sums(weight * probability) / frauds
        return {
            "average_precision": ranked[:, 0],
            "roc_auc": ranked[:, 1],
            "card_precision_100": card_precisions(
                rows.occurred_at_ms, rows.holder, probability, is_fraud, evaluation.CARDS_A_DAY, draws
            ),
            "brier": draws.sums(weight * (probability - is_fraud) ** 2) / total,
            "calibration_ratio": ratio,
            "calibration": -np.abs(np.log(ratio)),
            "recall_at_review": caught / frauds,
            "precision_at_review": caught / draws.sums(weight * flagged),
        }


def _champion(
    champion: Scorer | None, test: Dataset, ours: dict[str, FloatArray], draws: Resamples, options: ReportOptions
) -> tuple[dict[str, Any], FloatArray | None]:
    """The champion's figures on the same payments, the gains over it, and its scores."""
    if champion is None:
        return {"champion": None, "gain": None}, None
    probability = champion.score(test.matrix).probability
    theirs = resampled_figures(test, probability, champion.thresholds.review, draws)
    gains = {name: ours[name] - theirs[name] for name in ours if name != "calibration_ratio"}
    gains["brier"] = -gains["brier"]
    figures = {
        **evaluation.scalars(test, probability, champion.thresholds),
        "precision_recall": evaluation.precision_recall_points(test.is_fraud, probability),
    }
    return {"champion": figures, "gain": intervals(gains, options.confidence)}, probability


def _inside(scorer: Scorer, test: Dataset, learned: Dataset | None, seed: int) -> dict[str, Any]:
    """What the model looks at, whether that can be honest, and how long it takes."""
    explainer = Explainer(scorer)
    random = np.random.default_rng(seed)
    rows = np.concatenate(
        [random.permutation(np.flatnonzero(test.is_fraud == fraud))[: _EXPLAINED_ROWS // 2] for fraud in (True, False)]
    )
    strength = np.abs(explainer.explain(test.matrix[rows]).contributions).mean(axis=0)
    used = np.unique(scorer.ensemble.feature[scorer.ensemble.left != LEAF])
    before = leakage(scorer.ensemble, learned, strength, seed)["alone"] if learned else []
    return {
        "top_features": [[NAMES[column], float(strength[column])] for column in np.argsort(-strength)[:_TOP]],
        "features": {"used": len(used), "catalogue": len(NAMES)},
        "leakage": leakage(scorer.ensemble, test, strength, seed) | {"alone_in_training": before},
        "latency": latency(scorer, explainer, test.matrix),
    }
