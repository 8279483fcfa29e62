"""How well scores rank frauds, of payments that did not come out of a training: a replayed file's, for one."""

from dataclasses import dataclass

from sklearn.metrics import average_precision_score, roc_auc_score

from models.features.vector import FloatArray, IntArray
from models.scoring.dataset import BoolArray
from models.scoring.evaluation import CARDS_A_DAY, card_precision, require_two_classes


@dataclass(frozen=True)
class Ranking:
    average_precision: float
    roc_auc: float
    card_precision_100: float


def ranking(time_ms: IntArray, card: IntArray, score: FloatArray, is_fraud: BoolArray) -> Ranking:
    """All (n,). card: any numbers that tell cards apart. Raises SingleClassError."""
    require_two_classes(is_fraud)
    return Ranking(
        average_precision=float(average_precision_score(is_fraud, score)),
        roc_auc=float(roc_auc_score(is_fraud, score)),
        card_precision_100=card_precision(time_ms, card, score, is_fraud, CARDS_A_DAY),
    )
