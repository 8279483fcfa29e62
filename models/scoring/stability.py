"""Would it have been as good in other weeks? The chosen options on past weeks, each learned from what was known before it began."""

from dataclasses import dataclass, replace
from typing import Any, Final

from models.scoring.calibrating import calibrate
from models.scoring.dataset import Dataset
from models.scoring.growing import grow
from models.scoring.options import TrainingOptions
from models.scoring.prequential import DAY_MS, Period, week_figures, weeks_back
from models.scoring.scorer import calibrated
from models.scoring.split import settled
from models.scoring.steps import Steps

_WINDOWS_DAYS: Final = (28, 14, 7)
_HELD_BACK: Final = 0.25
_LEAST_FRAUDS: Final = 20


@dataclass(frozen=True)
class Weeks:
    """figures: of `prequential.week_figures`, oldest first. train_days: how long before each was learned from; None without weeks."""

    figures: list[dict[str, Any]]
    train_days: int | None


def week_by_week(
    dataset: Dataset, until_ms: int, now_ms: int, options: TrainingOptions, steps: Steps, start: float, end: float
) -> Weeks:
    """The last `options.weeks` whole weeks before `until_ms` that have enough history and frauds before them; none when it is short.

    Cheap: trees grow on as few legitimate payments as in the search's last round, so figures lie a little below the model's own.
    """
    periods, train_days = _periods(dataset, until_ms, options)
    figures = []
    for place, week in enumerate(periods):
        step = (end - start) / len(periods)
        tell = steps.part(start + step * place, start + step * (place + 1), f"past week {place + 1} of {len(periods)}")
        found = steps.once(
            f"week-{place}",
            lambda week=week, tell=tell: _judge(dataset, week, now_ms, options, tell) or {},  # type: ignore[misc]
        )
        figures += [found] if found else []
    return Weeks(figures, train_days if figures else None)


def _periods(dataset: Dataset, until_ms: int, options: TrainingOptions) -> tuple[list[Period], int | None]:
    """With the longest window that leaves as many weeks as are wanted, or the shortest."""
    if not options.weeks or len(dataset) == 0:
        return [], None
    first, last = int(dataset.occurred_at_ms.min()), until_ms - DAY_MS
    delay = options.split.label_delay_days
    for days in _WINDOWS_DAYS:
        found = weeks_back(first, last, train_days=days, delay_days=delay, warm_up_days=0)
        if len(found) >= options.weeks or days == _WINDOWS_DAYS[-1]:
            break
    return found[-options.weeks :], days


def _judge(dataset: Dataset, week: Period, now_ms: int, options: TrainingOptions, report: Any) -> dict[str, Any] | None:
    """One growth a week: trees on the earlier part of its window, calibration on the later one. None with too few frauds."""
    presume = options.split.presume_legitimate
    window = settled(dataset, week.learn_from_ms, week.learn_until_ms, week.test_from_ms, presume)
    late = window.occurred_at_ms >= week.learn_until_ms - _HELD_BACK * (week.learn_until_ms - week.learn_from_ms)
    learned, held_back = window.rows(~late), window.rows(late)
    test = settled(dataset, week.test_from_ms, week.test_until_ms, now_ms, presume)
    if any(int(part.is_fraud.sum()) < _LEAST_FRAUDS or part.is_fraud.all() for part in (learned, held_back, test)):
        return None
    grown = grow(learned, replace(options, most_legitimate=options.search.legitimate), report)
    calibration = calibrate(grown.margin(held_back.matrix), held_back.is_fraud, held_back.weight)
    probability = calibrated(calibration, grown.margin(test.matrix))
    return week_figures(test, probability, from_ms=week.test_from_ms, until_ms=week.test_until_ms)
