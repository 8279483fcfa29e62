"""A replay's scores against the file's labels; the measures themselves are models.scoring.evaluation's."""

import numpy as np

from backend.replay.feed import Decided
from backend.replay.report import Quality
from backend.replay.tally import Truths

CARDS_A_DAY = 100
_DAY_MS = 86_400_000


def judge(truths: Truths, decided: Decided, since_ms: int | None) -> Quality:
    """Judges labelled payments of event time >= `since_ms`. Days are UTC days."""
    from models.scoring import evaluation  # scikit-learn: a second that only a judged replay should pay

    fraud, occurred = np.array(truths.fraud, dtype=np.int64), np.array(truths.occurred_ms, dtype=np.int64)
    labelled = (
        decided.known & (fraud >= 0) & (occurred >= (since_ms if since_ms is not None else occurred.min(initial=0)))
    )
    scored = labelled & np.isfinite(decided.score)
    y, p = fraud[scored], decided.score[scored]
    days, cards = occurred[scored] // _DAY_MS, np.array(truths.cards, dtype=np.int64)[scored]
    both = bool(y.size) and 0 < y.sum() < y.size
    return Quality(
        payments=int(y.size),
        frauds=int(y.sum()),
        average_precision=evaluation.average_precision(y, p) if both else None,
        roc_auc=evaluation.roc_auc(y, p) if both else None,
        card_precision_100=evaluation.card_precision(y, p, days, cards, CARDS_A_DAY) if both else None,
        days=int(np.unique(days).size),
        unscored=int(labelled.sum() - scored.sum()),
    )
