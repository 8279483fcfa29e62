"""Which stretches of time are judged, and what was known by then."""

from datetime import UTC, datetime

from backend.evaluation.options import EvaluationOptions, Protocol
from backend.evaluation.reading import DAY_MS, Stream
from core.base.clock import from_ms, to_ms
from core.base.errors import InvalidInput
from models.scoring.prequential import WEEK_DAYS, Period, period

_SPLIT_SHARE = 0.2


def periods(stream: Stream, options: EvaluationOptions) -> list[Period]:
    """Oldest first. Raises InvalidInput when the stream is too short for one."""
    occurred = stream.history.occurred_at_ms
    first, end = _day(int(occurred[0])), _day(int(occurred[-1])) + DAY_MS
    until = min(end, to_ms(options.until)) if options.until else end
    since = to_ms(options.since) if options.since else None
    match options.protocol:
        case Protocol.HANDBOOK:
            stretches = _weeks(since, until)
        case Protocol.MONTHLY:
            stretches = _months(since, until)
        case Protocol.SPLIT:
            stretches = [(since if since is not None else _day(int(until - _SPLIT_SHARE * (until - first))), until)]
    learned_from = first + options.warm_up_days * DAY_MS
    judged_from = since if since is not None else _day(stream.judged_from_ms)
    found = [
        one
        for start, end in stretches
        if start >= judged_from and (one := _period(start, end, options, learned_from)) and one.learn_from_ms >= learned_from
    ]  # fmt: skip
    if not found:
        raise InvalidInput(_too_short(first, until, options))
    return found[::-1]


def _day(ms: int) -> int:
    return ms // DAY_MS * DAY_MS


def _period(start: int, end: int, options: EvaluationOptions, learned_from: int) -> Period | None:
    """None when nothing could be learned before."""
    days = options.window_days
    if days is None:
        days = (start - learned_from) // DAY_MS - options.delay_days
    if days <= 0:
        return None
    return period(start, end, train_days=days, delay_days=options.delay_days)


def _weeks(since: int | None, until: int) -> list[tuple[int, int]]:
    """Whole weeks, newest first: counted from `since`, else back from `until`."""
    week = WEEK_DAYS * DAY_MS
    end = until if since is None else since + (until - since) // week * week
    return [(end - (back + 1) * week, end - back * week) for back in range(max((end - (since or 0)) // week, 0))]


def _months(since: int | None, until: int) -> list[tuple[int, int]]:
    """Whole calendar months (UTC), newest first."""
    end = _month_start(from_ms(until))
    found: list[tuple[int, int]] = []
    while True:
        start = _month_start(from_ms(to_ms(end) - 1))
        if to_ms(start) < (since or 0):
            return found
        found.append((to_ms(start), to_ms(end)))
        end = start


def _month_start(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, 1, tzinfo=UTC)


def _too_short(first: int, until: int, options: EvaluationOptions) -> str:
    learned = f"{options.window_days} days of training" if options.window_days else "a day of training"
    days = (until - first) / DAY_MS
    test = {Protocol.HANDBOOK: "a week", Protocol.MONTHLY: "a whole calendar month", Protocol.SPLIT: "a period"}
    return (
        f"{days:.0f} days of payments up to {from_ms(until):%Y-%m-%d} leave nothing to judge: {options.warm_up_days} days of warm-up, "
        f"{learned}, {options.delay_days} days of label delay and {test[options.protocol]} to be judged are needed. "
        "Give an older file first, or other --train-days, --warm-up-days, --since or --until."
    )
