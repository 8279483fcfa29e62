"""What a training may be told."""

from dataclasses import dataclass, field
from typing import Literal

from models.scoring.report import ReportOptions
from models.scoring.scorer import Scorer
from models.scoring.split import SplitOptions

LabelScheme = Literal["presume", "sampled", "auto"]
"""What silence about a payment means; `models.scoring.labelling` says when which is right."""


@dataclass(frozen=True)
class TreeOptions:
    """Shallow, slow and regularised: scikit-learn's defaults rank fraud worse and take five times longer to explain.

    fraud_weight: how many payments one fraud counts for when the trees are grown; calibration takes the shift back.
    """

    iterations: int = 300
    learning_rate: float = 0.04
    leaves: int = 6
    least_in_leaf: int = 40
    l2: float = 20.0
    feature_share: float = 0.5
    fraud_weight: float = 1.0


@dataclass(frozen=True)
class SearchOptions:
    """candidates: tree options that are tried beside the default ones; 0 = the default is taken as it is. rounds: each keeps a third
    of them and gives them more rows and more trees. legitimate: most legitimate payments in the last round's trees; a fraction before.

    haste: trials grow so many times fewer trees, each of so many times the rate: what is better then is better slowly, too.
    judge_share: the last part of the training period, in time, that candidates are judged on. least_frauds: in both parts, or there is
    no search. confidence: with which a candidate must be better than the default to replace it.
    """

    candidates: int = 6
    rounds: int = 2
    legitimate: int = 24_000
    haste: float = 3.0
    judge_share: float = 0.3
    judge_legitimate: int = 20_000
    least_frauds: int = 60
    confidence: float = 0.95
    resamples: int = 100


@dataclass(frozen=True)
class AnomalyOptions:
    """trees: 0 = no anomaly signal. rows: most payments it is grown and measured on."""

    trees: int = 64
    rows_in_tree: int = 256
    rows: int = 20_000


@dataclass(frozen=True)
class TrainingOptions:
    """review_share: payments people can look at, as a share; alerts_per_day, when given, replaces it. always_review: calibrated
    probability from which a payment is looked at whatever the budget, so that no probable fraud is approved for want of time.

    decline_precision: share of declined payments that must be fraud. most_legitimate: more than that are thinned, evenly over the days.
    most_payments: the newest that are held at once, at 4 bytes a feature; older ones only build the features' state.
    drop_useless: leave out features that hardly any split of a quick first model looks at. dropped: names left out whatever they do.
    weeks: how many weeks back the chosen options are judged again, each with trees grown on what was known before it.
    champion: judged on the same test payments. threads: how many of the trials and growths are at work at once.
    """

    split: SplitOptions = field(default_factory=SplitOptions)
    trees: TreeOptions = field(default_factory=TreeOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    anomaly: AnomalyOptions = field(default_factory=AnomalyOptions)
    report: ReportOptions = field(default_factory=ReportOptions)
    label_scheme: LabelScheme = "auto"
    drop_useless: bool = True
    dropped: tuple[str, ...] = ()
    weeks: int = 3
    review_share: float = 0.01
    always_review: float = 0.25
    alerts_per_day: float | None = None
    decline_precision: float = 0.9
    least_declined: int = 5
    most_legitimate: int = 200_000
    most_payments: int = 1_000_000
    seed: int = 7
    threads: int = 2
    champion: Scorer | None = None
