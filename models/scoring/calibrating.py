"""From margins to probabilities, and from probabilities to what is reviewed and declined. Both on payments later than the learned ones."""

from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from models.features.vector import FloatArray
from models.scoring.artifact import Calibration, Thresholds
from models.scoring.dataset import BoolArray, Dataset, TrainingImpossible
from models.scoring.evaluation import require_two_classes
from models.scoring.options import TrainingOptions

NEVER: Final = 1.0
_MS_PER_DAY: Final = 86_400_000


def calibrate(margin: FloatArray, is_fraud: BoolArray, weight: FloatArray | None = None) -> Calibration:
    """Platt scaling on payments later than the ones learned from: two numbers, so a few dozen frauds are enough, and the order stays.

    weight: how many payments each stands for. Whatever shifted all margins (thinned legitimate payments, frauds that weighed more) is
    taken back here, because these payments are neither thinned nor weighted by class.
    """
    require_two_classes(is_fraud)
    platt = LogisticRegression(C=1e3).fit(margin.reshape(-1, 1), is_fraud, sample_weight=weight)
    slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    if slope <= 0:
        raise TrainingImpossible("the model ranks the calibration payments no better than chance", slope=slope)
    return Calibration(slope, intercept)


def choose_thresholds(rows: Dataset, probability: FloatArray, options: TrainingOptions) -> Thresholds:
    """Review from the budget; decline from where the precision holds (NEVER when it nowhere does). A payment that stands for others
    counts as many times in both.
    """
    order = np.argsort(-probability, kind="stable")
    descending, weight = probability[order], rows.weight[order]
    total = np.cumsum(weight)
    budget = options.review_share * float(total[-1])
    if options.alerts_per_day is not None:
        days = (int(rows.occurred_at_ms.max()) - int(rows.occurred_at_ms.min())) / _MS_PER_DAY
        budget = options.alerts_per_day * max(days, 1.0)
    within = int(np.searchsorted(total, budget * (1 + 1e-12), side="right"))
    review = min(float(descending[max(within, 1) - 1]), options.always_review)
    precision = np.cumsum(weight * rows.is_fraud[order]) / total
    # Only the last of equal probabilities can be a threshold: the others would split payments that look the same.
    last_of_ties = np.append(descending[1:] != descending[:-1], True)
    holds = np.flatnonzero((precision >= options.decline_precision) & last_of_ties)
    holds = holds[holds >= options.least_declined - 1]
    decline = max(float(descending[holds[-1]]), review) if len(holds) else NEVER
    return Thresholds(review=review, decline=decline)
