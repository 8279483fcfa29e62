"""The model file carries the payments it learned from and was judged on, or is refused."""

import numpy as np
import pytest
from msgspec.structs import replace

from core.base.errors import ModelRefused
from models.features.catalogue import NAMES
from models.monitoring.drift import psi
from models.scoring.artifact import decode, encode, pack
from models.scoring.dataset import Dataset
from models.scoring.reference import JUDGED_POINTS, LEARNED_POINTS, judged_rows
from models.scoring.scorer import Scorer
from models.scoring.split import SplitOptions, split
from models.scoring.training import Trained


def test_a_trained_model_knows_the_payments_it_was_judged_on(
    dataset: Dataset, trained: Trained, scorer: Scorer
) -> None:
    assert scorer.past is not None
    assert scorer.past.judged.shape == (JUDGED_POINTS, len(NAMES) + 1)
    assert scorer.past.learned.shape == (LEARNED_POINTS, len(NAMES))
    parts = split(dataset, SplitOptions())
    rows = dataset.matrix[judged_rows(dataset.occurred_at_ms, parts.test_from_ms, parts.test_until_ms)]
    score = scorer.score(rows).probability
    assert psi(scorer.past.judged[:, -1], score) < 0.01
    for column in (0, NAMES.index("device_velocity_1h_count"), NAMES.index("ip_velocity_1h_count")):
        kept = scorer.past.judged[:, column]
        assert np.isnan(kept).mean() == pytest.approx(np.isnan(rows[:, column]).mean(), abs=1 / JUDGED_POINTS)
        assert psi(kept, rows[:, column]) < 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {"learned": None},
        {"reference": None},
        {"learned": pack(np.zeros((5, 3)))},
        {"reference": pack(np.zeros((5, len(NAMES))))},
        {"reference": pack(np.zeros((0, len(NAMES) + 1)))},
    ],
)
def test_half_or_unfit_pasts_are_refused(trained: Trained, changes: dict[str, object]) -> None:
    with pytest.raises(ModelRefused, match="judged on"):
        Scorer.load(encode(replace(decode(trained.artifact), **changes)))


def test_a_model_without_a_past_still_scores(trained: Trained) -> None:
    older = Scorer.load(encode(replace(decode(trained.artifact), learned=None, reference=None)))
    assert older.past is None
