"""Hyper-parameters within a budget: successive halving (Jamieson and Talwalkar 2016) around the default options.

Every candidate is tried with few payments and few trees; the best third goes on with more of both. The default is tried in every round,
and is taken unless another one is better on the judge rows beyond what chance among their customers explains. The budget is counted in
candidates and rounds, never in seconds, and everything drawn has a fixed seed: the same data and options choose the same.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from models.scoring.options import TrainingOptions, TreeOptions
from models.scoring.side_by_side import side_by_side
from models.scoring.steps import Steps
from models.scoring.trials import Bench, Trial, attempt_once, in_haste

_AROUND: Final[dict[str, tuple[Any, ...]]] = {
    "pace": ((0.5, 2.0), (2.0, 0.5), (2.0, 1.0), (1.0, 2.0)),
    "leaves": (4, 8, 12),
    "least_in_leaf": (15, 100, 200),
    "l2": (5.0, 60.0),
    "feature_share": (0.25, 1.0),
}
"""What may be tried instead of the default's. pace: factors on the number of trees and on the learning rate."""
_CHANGED: Final = 0.4
"""Chance of each of them to be another than the default's."""
_KEEP: Final = 3


@dataclass(frozen=True)
class Found:
    """trial: how `trees` did in the last round. table: every trial, in order, as the report shows it."""

    trees: TreeOptions
    trial: Trial
    rounds: int
    table: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {
            "candidates": len({row["candidate"] for row in self.table}),
            "rounds": self.rounds,
            "chosen": asdict(self.trees),
            "table": self.table,
        }


def candidates(options: TrainingOptions) -> list[TreeOptions]:
    """The default first, then `search.candidates` different ones."""
    random = np.random.default_rng(options.seed)
    found = [options.trees]
    while len(found) <= options.search.candidates:
        one = _draw(options.trees, random)
        if one not in found:
            found.append(one)
    return found


def _draw(default: TreeOptions, random: np.random.Generator) -> TreeOptions:
    changes = {
        name: choices[random.integers(len(choices))] for name, choices in _AROUND.items() if random.random() < _CHANGED
    }
    more, faster = changes.pop("pace", (1.0, 1.0))
    pace = {"iterations": round(default.iterations * more), "learning_rate": default.learning_rate * faster}
    return replace(default, **pace, **changes)


def search(bench: Bench, options: TrainingOptions, steps: Steps, start: float, end: float) -> Found:
    """start, end: where on the way of the whole training the search lies."""
    tried = dict(enumerate(candidates(options)))
    plan = _planned(len(tried), options.search.rounds)
    step = (end - start) / sum(plan)
    table: list[dict[str, Any]] = []
    trials: dict[int, Trial] = {}
    for number, how_many in enumerate(plan):
        alive = _best(trials, how_many) if trials else list(tried)

        def attempt(place: int, number: int = number, alive: list[int] = alive) -> Trial:
            begun = start + step * (sum(plan[:number]) + place)
            tell = steps.part(begun, begun + step, f"trying options, round {number + 1} of {len(plan)}")
            given = at_round(replace(options, trees=tried[alive[place]]), number, len(plan))
            return attempt_once(bench, given, steps, f"search-{number}-{alive[place]}", tell)

        parts = [partial(attempt, place) for place in range(len(alive))]
        trials = dict(zip(alive, side_by_side(parts, options.threads), strict=True))
        table += [
            {"round": number + 1, "candidate": candidate, **asdict(tried[candidate]), **trials[candidate].figures()}
            for candidate in alive
        ]
    winner = _winner(trials, options.search.confidence)
    return Found(tried[winner], trials[winner], len(plan), table)


def _planned(candidates: int, rounds: int) -> list[int]:
    """How many are tried in each round; the default is one of them."""
    plan = [candidates]
    while len(plan) < rounds and plan[-1] > 2:
        plan.append(max(2, -(-(plan[-1] - 1) // _KEEP) + 1))
    return plan


def _best(trials: dict[int, Trial], how_many: int) -> list[int]:
    """The default, and the best of the others."""
    others = sorted((one for one in trials if one), key=lambda one: -trials[one].average_precision)
    return [0, *others[: how_many - 1]]


def _winner(trials: dict[int, Trial], confidence: float) -> int:
    best = max(trials, key=lambda one: (trials[one].average_precision, -one))
    return best if best and trials[best].gain_over(trials[0], "average_precision", confidence) > 0 else 0


def at_round(options: TrainingOptions, number: int, rounds: int) -> TrainingOptions:
    """The last round has all the rows a search may use; each before it a third of them and two thirds of the trees."""
    back = rounds - 1 - number
    hasty = replace(options, trees=in_haste(options.trees, options.search.haste))
    trees = replace(hasty.trees, iterations=max(1, round(hasty.trees.iterations * (2 / 3) ** back)))
    return replace(hasty, trees=trees, most_legitimate=max(1, round(options.search.legitimate / 3**back)))


def weigh(
    bench: Bench, options: TrainingOptions, unweighted: Trial, steps: Steps, start: float, end: float
) -> dict[str, Any]:
    """Whether frauds should weigh more: judged by what counts, the frauds caught within the review budget, and only if it is clearly
    better. unweighted: how `options` did in the last round of the search. Calibration takes the shift in the margins back.
    """
    legitimate = int((~bench.learn.is_fraud).sum())
    heavy = float(round(np.sqrt(legitimate / int(bench.learn.is_fraud.sum())), 1))
    given = at_round(replace(options, trees=replace(options.trees, fraud_weight=heavy)), 0, 1)
    tell = steps.part(start, end, "weighing frauds against legitimate payments")
    weighted = attempt_once(bench, given, steps, "weighted", tell)
    better = weighted.gain_over(unweighted, "recall_at_review", options.search.confidence) > 0
    return {
        "chosen": heavy if better else 1.0,
        "tried": [{"fraud_weight": 1.0, **unweighted.figures()}, {"fraud_weight": heavy, **weighted.figures()}],
    }
