"""Training: split by time, fit, calibrate, set thresholds, judge, and pack the artifact."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from core.base.clock import from_ms, rfc3339
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.vector import FloatArray, FloatMatrix, IntArray
from models.scoring import evaluation
from models.scoring.artifact import FORMAT, Artifact, Calibration, Thresholds, encode, pack, pack_ensemble
from models.scoring.dataset import BoolArray, Dataset, TrainingImpossible
from models.scoring.ensemble import Ensemble, from_histogram_boosting
from models.scoring.report import ReportOptions, build_report
from models.scoring.scorer import Scorer, calibrated
from models.scoring.split import Split, SplitOptions, split

Report = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and what is being done."""
NEVER: Final = 1.0
_STEPS: Final = 6
_GOLDEN_ROWS: Final = 64


@dataclass(frozen=True)
class TreeOptions:
    """Shallow, slow and regularised: scikit-learn's defaults rank fraud worse and take five times longer to explain."""

    iterations: int = 300
    learning_rate: float = 0.04
    leaves: int = 6
    least_in_leaf: int = 40
    l2: float = 20.0
    feature_share: float = 0.5


@dataclass(frozen=True)
class TrainingOptions:
    """review_share: payments people can look at, as a share; alerts_per_day, when given, replaces it. always_review: calibrated
    probability from which a payment is looked at whatever the budget, so that no probable fraud is approved for want of time.

    decline_precision: share of declined payments that must be fraud. most_legitimate: more than that are thinned, evenly over the days.
    champion: judged on the same test payments. threads: OpenMP's. On a machine that scores meanwhile, two threads that wait for each
    other took twenty times as long as one.
    """

    split: SplitOptions = field(default_factory=SplitOptions)
    trees: TreeOptions = field(default_factory=TreeOptions)
    report: ReportOptions = field(default_factory=ReportOptions)
    review_share: float = 0.01
    always_review: float = 0.25
    alerts_per_day: float | None = None
    decline_precision: float = 0.9
    least_declined: int = 5
    most_legitimate: int = 200_000
    seed: int = 7
    threads: int = 1
    champion: Scorer | None = None


@dataclass(frozen=True)
class Trained:
    """artifact: the model file. metrics, lineage: JSON-ready."""

    artifact: bytes
    metrics: dict[str, Any]
    lineage: dict[str, Any]


def train(dataset: Dataset, options: TrainingOptions, report: Report) -> Trained:
    """Deterministic for a dataset and options. Raises TrainingImpossible when there is too little to learn from."""
    with threadpool_limits(limits=options.threads):
        return _train(dataset, options, report)


def _train(dataset: Dataset, options: TrainingOptions, report: Report) -> Trained:
    report(0.0, "splitting by time")
    parts = split(dataset, options.split)
    grown = grow(parts.train, options, lambda done: report(0.05 + 0.65 * done, "growing trees"))
    report(0.72, "calibrating")
    margin = grown.margin(parts.calibration.matrix)
    calibration = calibrate(margin, parts.calibration.is_fraud)
    thresholds = choose_thresholds(parts.calibration, calibrated(calibration, margin), options)
    lineage = _lineage(dataset, parts, options)
    artifact = _pack(grown, parts, calibration, thresholds, lineage)
    scorer = Scorer.load(artifact)
    report(0.8, "judging on the test slice")
    metrics = build_report(scorer, parts.test, champion=options.champion, weeks=[], options=options.report)
    report(1.0, "done")
    return Trained(artifact, metrics, lineage)


@dataclass(frozen=True)
class Grown:
    """scikit-learn's model, and the features it was given: `columns` of the vector."""

    model: HistGradientBoostingClassifier
    columns: IntArray

    def margin(self, matrix: FloatMatrix) -> FloatArray:
        """(n,) log-odds before calibration."""
        return np.asarray(self.model.decision_function(matrix[:, self.columns]), dtype=np.float64)

    def ensemble(self) -> Ensemble:
        """The trees over the whole vector."""
        trees = from_histogram_boosting(self.model)
        return replace(trees, feature=self.columns[trees.feature].astype(np.int32))


def grow(rows: Dataset, options: TrainingOptions, report: Callable[[float], None]) -> Grown:
    """The boosted trees, grown in steps so that progress can be told."""
    evaluation.require_two_classes(rows.is_fraud)
    chosen = thin(rows, options)
    trees = options.trees
    model = HistGradientBoostingClassifier(
        learning_rate=trees.learning_rate,
        max_leaf_nodes=trees.leaves,
        min_samples_leaf=trees.least_in_leaf,
        l2_regularization=trees.l2,
        max_features=trees.feature_share,
        early_stopping=False,
        warm_start=True,
        random_state=options.seed,
    )
    # No leaf can come from a feature so few payments know; scikit-learn fails on one that none knows.
    known = np.count_nonzero(~np.isnan(rows.matrix[chosen]), axis=0)
    columns = np.flatnonzero(known >= 2 * trees.least_in_leaf)
    matrix, is_fraud = rows.matrix[np.ix_(chosen, columns)], rows.is_fraud[chosen]
    for step in range(1, _STEPS + 1):
        model.set_params(max_iter=-(-trees.iterations * step // _STEPS))
        model.fit(matrix, is_fraud)
        report(step / _STEPS)
    return Grown(model, columns)


def thin(rows: Dataset, options: TrainingOptions) -> IntArray:
    """Row numbers to fit on: every fraud, and every k-th legitimate payment in time order.

    Unweighted: it shifts all margins alike, which calibration (on payments that are not thinned) takes back; and with weights
    scikit-learn's binning takes minutes.
    """
    legitimate = np.flatnonzero(~rows.is_fraud)
    every = max(1, -(-len(legitimate) // options.most_legitimate))
    in_time = legitimate[np.argsort(rows.occurred_at_ms[legitimate], kind="stable")]
    return np.sort(np.concatenate([np.flatnonzero(rows.is_fraud), in_time[options.seed % every :: every]]))


def calibrate(margin: FloatArray, is_fraud: BoolArray) -> Calibration:
    """Platt scaling on payments later than the ones learned from: two numbers, so a few dozen frauds are enough, and the order stays."""
    evaluation.require_two_classes(is_fraud)
    platt = LogisticRegression(C=1e3).fit(margin.reshape(-1, 1), is_fraud)
    slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    if slope <= 0:
        raise TrainingImpossible("the model ranks the calibration payments no better than chance", slope=slope)
    return Calibration(slope, intercept)


def choose_thresholds(rows: Dataset, probability: FloatArray, options: TrainingOptions) -> Thresholds:
    """Review from the budget; decline from where the precision holds (NEVER when it nowhere does)."""
    order = np.argsort(-probability, kind="stable")
    descending = probability[order]
    budget = options.review_share * len(rows)
    if options.alerts_per_day is not None:
        days = (int(rows.occurred_at_ms.max()) - int(rows.occurred_at_ms.min())) / 86_400_000
        budget = options.alerts_per_day * max(days, 1.0)
    review = min(float(descending[min(max(int(budget), 1), len(rows)) - 1]), options.always_review)
    precision = np.cumsum(rows.is_fraud[order]) / np.arange(1, len(rows) + 1)
    # Only the last of equal probabilities can be a threshold: the others would split payments that look the same.
    last_of_ties = np.append(descending[1:] != descending[:-1], True)
    holds = np.flatnonzero((precision >= options.decline_precision) & last_of_ties)
    holds = holds[holds >= options.least_declined - 1]
    decline = max(float(descending[holds[-1]]), review) if len(holds) else NEVER
    return Thresholds(review=review, decline=decline)


def _pack(
    grown: Grown, parts: Split, calibration: Calibration, thresholds: Thresholds, lineage: dict[str, Any]
) -> bytes:
    golden = golden_rows(parts.test.matrix, grown.margin(parts.test.matrix))
    return encode(
        Artifact(
            format=FORMAT,
            catalogue_version=CATALOGUE_VERSION,
            features=list(NAMES),
            ensemble=pack_ensemble(grown.ensemble()),
            calibration=calibration,
            thresholds=thresholds,
            golden=pack(golden),
            golden_margins=pack(grown.margin(golden)),
            usual=pack(usual_values(parts.train)),
            lineage=lineage,
        )
    )


def golden_rows(matrix: FloatMatrix, margin: FloatArray) -> FloatMatrix:
    """Payments from the lowest margin to the highest, and the one with most unknowns."""
    spread = np.linspace(0, len(matrix) - 1, min(_GOLDEN_ROWS, len(matrix))).astype(np.int64)
    emptiest = int(np.isnan(matrix).sum(axis=1).argmax())
    rows = np.append(np.argsort(margin, kind="stable")[spread], emptiest)
    return np.asarray(matrix[rows])


def usual_values(rows: Dataset) -> FloatArray:
    """(features,) median over legitimate payments; NaN for a feature none of them knows."""
    legitimate = rows.matrix[~rows.is_fraud]
    known = ~np.isnan(legitimate).all(axis=0)
    usual = np.full(legitimate.shape[1], np.nan)
    usual[known] = np.nanmedian(legitimate[:, known], axis=0)
    return usual


def _lineage(dataset: Dataset, parts: Split, options: TrainingOptions) -> dict[str, Any]:
    return {
        "catalogue_version": CATALOGUE_VERSION,
        "dataset_sha256": dataset.sha256(),
        "options": _plain(options),
        "scikit_learn": sklearn.__version__,
        "slices": {
            "train": {**parts.train.counts(), "until": rfc3339(from_ms(parts.train_until_ms))},
            "calibration": {**parts.calibration.counts(), "from": rfc3339(from_ms(parts.calibration_from_ms))},
            "test": {
                **parts.test.counts(),
                "from": rfc3339(from_ms(parts.test_from_ms)),
                "until": rfc3339(from_ms(parts.test_until_ms)),
            },
        },
    }


def _plain(options: TrainingOptions) -> dict[str, Any]:
    """The champion is another model's artifact and not copied into this one."""
    plain = asdict(replace(options, champion=None))
    del plain["champion"]
    return plain
