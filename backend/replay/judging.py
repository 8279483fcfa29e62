"""A replay's scores against the file's labels; the measures themselves are models.scoring's."""

import numpy as np

from backend.replay.feed import Decided
from backend.replay.report import Quality
from backend.replay.tally import Truths

_DAY_MS = 86_400_000


def judge(truths: Truths, decided: Decided, since_ms: int | None) -> Quality:
    """Judges labelled, decided payments, of event time >= `since_ms` if given."""
    from models.scoring.evaluation import SingleClassError  # scikit-learn: seconds that only a judged replay should pay
    from models.scoring.ranking import ranking

    fraud, occurred = np.array(truths.fraud, dtype=np.int8), np.array(truths.occurred_ms, dtype=np.int64)
    labelled = decided.known & (fraud >= 0)
    if since_ms is not None:
        labelled &= occurred >= since_ms
    scored = labelled & np.isfinite(decided.score)
    is_fraud, times, cards = fraud[scored] == 1, occurred[scored], np.array(truths.cards, dtype=np.int64)[scored]
    try:
        found = ranking(times, cards, decided.score[scored], is_fraud)
    except SingleClassError:
        found = None
    return Quality(
        payments=int(scored.sum()),
        frauds=int(is_fraud.sum()),
        average_precision=found.average_precision if found else None,
        roc_auc=found.roc_auc if found else None,
        card_precision_100=found.card_precision_100 if found else None,
        days=int(np.unique(times // _DAY_MS).size),
        unscored=int(labelled.sum() - scored.sum()),
    )
