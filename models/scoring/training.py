"""Training: settle the labels, split by time, choose features and options, grow, calibrate, set thresholds, judge, and pack the artifact.

Memory: the vectors take 8 bytes a feature and payment; the three slices take up to as much again, growing trees 9 bytes a feature for each
payment that is not thinned away (at most `most_legitimate` legitimate ones and every fraud), and other columns about 150 bytes a payment.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import msgspec
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.features.catalogue import NAMES
from models.scoring.anomaly import Isolation, anomaly_figures, isolate
from models.scoring.calibrating import NEVER, calibrate, choose_thresholds
from models.scoring.dataset import Dataset
from models.scoring.evaluation import require_two_classes
from models.scoring.growing import Grown, grow, thin
from models.scoring.labelling import Labelled, settle
from models.scoring.options import AnomalyOptions, LabelScheme, SearchOptions, TrainingOptions, TreeOptions
from models.scoring.packing import Parts, code_sha256, lineage_of, pack_model, plain
from models.scoring.reference import past_of
from models.scoring.report import build_report
from models.scoring.scorer import Scorer, calibrated
from models.scoring.search import search, weigh
from models.scoring.selection import useless_features
from models.scoring.side_by_side import side_by_side
from models.scoring.split import Split, split
from models.scoring.stability import Weeks, week_by_week
from models.scoring.steps import Checkpoints, NoCheckpoints, Report, Steps, TrainingCancelled, never
from models.scoring.trials import Bench

__all__ = [
    "NEVER",
    "AnomalyOptions",
    "Grown",
    "LabelScheme",
    "Report",
    "SearchOptions",
    "Trained",
    "TrainingCancelled",
    "TrainingOptions",
    "TreeOptions",
    "calibrate",
    "choose_thresholds",
    "grow",
    "thin",
    "train",
]


@dataclass(frozen=True)
class Trained:
    """artifact: the model file. metrics, lineage: JSON-ready."""

    artifact: bytes
    metrics: dict[str, Any]
    lineage: dict[str, Any]


@dataclass(frozen=True)
class _Chosen:
    """options: with the trees, the weight of frauds and the dropped features that were chosen. search: for the report."""

    options: TrainingOptions
    search: dict[str, Any] | None
    weighting: dict[str, Any] | None


def train(
    dataset: Dataset,
    options: TrainingOptions,
    report: Report,
    *,
    cancelled: Callable[[], bool] = never,
    checkpoints: Checkpoints | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Trained:
    """Deterministic for a dataset and options. `checkpoints`, kept from a training of the same that was cut short, spare its steps.
    provenance: where the payments and labels came from, for the lineage.

    Raises TrainingImpossible when there is too little to learn from, TrainingCancelled soon after `cancelled` answers True.
    """
    known = _Known(dataset.sha256(), dict(provenance or {}))
    kept = (checkpoints or NoCheckpoints()).of(_key(known.sha256, options))
    with threadpool_limits(limits=1):
        return _train(dataset, known, options, Steps(report, cancelled, kept))


@dataclass(frozen=True)
class _Known:
    sha256: str
    provenance: dict[str, Any]


def _key(dataset_sha256: str, options: TrainingOptions) -> str:
    options_json = msgspec.json.encode(plain(options), order="deterministic")
    return hashlib.sha256(f"{dataset_sha256} {code_sha256()} ".encode() + options_json).hexdigest()[:32]


def _train(dataset: Dataset, known: _Known, options: TrainingOptions, steps: Steps) -> Trained:
    steps.at(0.0, "settling labels and splitting by time")
    labelled = settle(dataset, options.label_scheme)
    options = _told(options, labelled)
    slices = split(labelled.rows, options.split)
    chosen = _choose(slices.train, options, steps)
    grown, weeks = _grow(labelled.rows, slices, chosen.options, steps)
    parts = _finish(grown, slices, chosen.options, steps)
    facts = known.provenance | _facts(labelled, chosen, grown, weeks.train_days)
    lineage = lineage_of(known.sha256, slices, options, facts)
    past = past_of(labelled.rows, slices, lambda rows: calibrated(parts.calibration, grown.margin(rows)))
    artifact = pack_model(parts, slices, lineage, past)
    scorer = Scorer.load(artifact)
    steps.at(0.9, "judging on the test slice")
    metrics = build_report(
        scorer,
        slices.test,
        champion=options.champion,
        weeks=weeks.figures,
        options=options.report,
        learned=slices.train,
    ) | _own_figures(parts.isolation, slices.test, chosen, grown)
    steps.at(1.0, "done")
    return Trained(artifact, metrics, lineage)


def _told(options: TrainingOptions, labelled: Labelled) -> TrainingOptions:
    presume = labelled.presume and options.split.presume_legitimate
    return replace(options, split=replace(options.split, presume_legitimate=presume))


def _choose(rows: Dataset, options: TrainingOptions, steps: Steps) -> _Chosen:
    """On the training slice alone. Everything stays as it is where there are too few frauds to tell options apart."""
    require_two_classes(rows.is_fraud)
    bench = Bench.of(rows, options.search, options.seed)
    if bench is None:
        return _Chosen(options, None, None)
    if options.drop_useless:
        useless = steps.once("useless-features", lambda: useless_features(bench, options, steps, 0.02, 0.06))
        options = replace(options, dropped=(*options.dropped, *useless))
    if not options.search.candidates:
        return _Chosen(options, None, None)
    found = search(bench, options, steps, 0.06, 0.34)
    options = replace(options, trees=found.trees)
    weighting = weigh(bench, options, found.trial, steps, 0.34, 0.4)
    trees = replace(options.trees, fraud_weight=weighting["chosen"])
    return _Chosen(replace(options, trees=trees), found.as_json(), weighting)


def _grow(rows: Dataset, slices: Split, options: TrainingOptions, steps: Steps) -> tuple[Grown, Weeks]:
    """The model's trees and, side by side with them, those of past weeks."""
    growing = partial(grow, slices.train, options, steps.part(0.4, 0.82, "growing trees"))
    looking_back = partial(week_by_week, rows, slices.test_until_ms, slices.now_ms, options, steps, 0.4, 0.82)
    grown, weeks = side_by_side((growing, looking_back), options.threads)
    return cast(Grown, grown), cast(Weeks, weeks)


def _finish(grown: Grown, slices: Split, options: TrainingOptions, steps: Steps) -> Parts:
    steps.at(0.82, "calibrating")
    later = slices.calibration
    margin = grown.margin(later.matrix)
    calibration = calibrate(margin, later.is_fraud, later.weight)
    thresholds = choose_thresholds(later, calibrated(calibration, margin), options)
    steps.at(0.84, "learning what is ordinary")
    isolation = isolate(slices.train, grown.columns, options.anomaly, options.seed) if options.anomaly.trees else None
    return Parts(grown, isolation, calibration, thresholds)


def _facts(labelled: Labelled, chosen: _Chosen, grown: Grown, weeks_days: int | None) -> dict[str, Any]:
    return {
        "labels": dict(labelled.facts),
        "chosen": {
            "trees": plain(chosen.options)["trees"],
            "weighting": chosen.weighting,
            "features": [NAMES[column] for column in grown.columns],
            "weeks_train_days": weeks_days,
        },
    }


def _own_figures(isolation: Isolation | None, test: Dataset, chosen: _Chosen, grown: Grown) -> dict[str, Any]:
    """What the training itself adds to the report."""
    given = set(grown.columns.tolist())
    return {
        "search": chosen.search,
        "weighting": chosen.weighting,
        "dropped_features": [name for column, name in enumerate(NAMES) if column not in given],
        "anomaly": anomaly_figures(test, isolation.sums(test.matrix)) if isolation else None,
    }
