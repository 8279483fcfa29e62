"""`ronda evaluate`: read, replay the features, then learn and judge period after period."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console

from backend.display import Display, Step, Steps
from backend.evaluation.answer import Answer
from backend.evaluation.judging import columns, judge_period
from backend.evaluation.options import EvaluationOptions
from backend.evaluation.periods import periods
from backend.evaluation.reading import DAY_MS, Stream, read_stream
from core.base.clock import from_ms
from models.features.offline import replay
from models.scoring.dataset import Dataset
from models.scoring.evaluation import KNOWN_DAYS
from models.scoring.prequential import Period


def evaluate(options: EvaluationOptions, console: Console) -> Answer:
    """Progress goes to `console`. Raises InvalidInput with one sentence for the user."""
    began = time.perf_counter()
    with Display(console).progress() as steps:
        columns(options.features)
        steps.at(Step(0.0, f"reading {', '.join(path.name for path in options.files)}"))
        stream = read_stream(options)
        chosen = periods(stream, options)
        replayed, words = time.perf_counter(), f"replaying the features of {len(stream.truth):,} payments"
        matrix = replay(stream.history, keep_from=_first_needed(stream, chosen), report=_reporter(steps, words))
        rows = Dataset.of(stream, matrix)
        replay_seconds = time.perf_counter() - replayed
        weeks = []
        for number, one in enumerate(chosen, start=1):
            words = f"{from_ms(one.test_from_ms):%Y-%m-%d} ({number} of {len(chosen)}): learning and judging"
            steps.at(Step(0.0, words))
            weeks.append(judge_period(rows, one, options, _reporter(steps, words)))
        steps.done()
    return Answer(options, weeks, time.perf_counter() - began, replay_seconds, len(stream.truth), stream.notes)


def _first_needed(stream: Stream, chosen: Sequence[Period]) -> int:
    """Row of the first payment that is learned from, or that may make a card known: earlier ones only fill the features' windows."""
    needed = min(min(one.learn_from_ms, one.learn_until_ms - KNOWN_DAYS * DAY_MS) for one in chosen)
    return int(np.searchsorted(stream.history.occurred_at_ms, needed))


def _reporter(steps: Steps, words: str) -> Callable[[float], None]:
    return lambda done: steps.at(Step(done, words))
