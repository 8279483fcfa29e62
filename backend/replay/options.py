"""What a replay is asked to do, with the help text of each option."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.base.errors import InvalidInput
from core.base.terms import LabelSource

API_BATCH_MAX = 1000
"""Most items the API takes in one request."""


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Checked on construction: raises InvalidInput with a sentence for the command line."""

    file: Path
    url: str
    key: str
    source: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    currency: str = "EUR"
    timezone: str = "UTC"
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    rate: float | None = None
    batch: int = 400
    concurrency: int = 1
    max_undecided: int = 1500
    labels: bool = True
    label_delay: timedelta = timedelta(days=7)
    label_source: LabelSource = LabelSource.IMPORT
    wait_decisions: bool = True
    wait_s: float = 60.0
    judge_since: datetime | None = None
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        positive = {"limit": self.limit, "rate": self.rate, "concurrency": self.concurrency}
        for name, value in positive.items():
            if value is not None and value <= 0:
                raise InvalidInput(f"--{name} must be greater than 0")
        if not 1 <= self.batch <= API_BATCH_MAX:
            raise InvalidInput(f"--batch must be between 1 and {API_BATCH_MAX}")
        if self.label_delay <= timedelta():
            raise InvalidInput("--label-delay must be longer than 0: nobody knows the truth before the payment")
        if self.label_source is LabelSource.ANALYST:
            raise InvalidInput("--label-source must be import, chargeback or customer: analysts label in the console")
        if len(self.currency) != 3 or not self.currency.isalpha() or not self.currency.isupper():
            raise InvalidInput("--currency must be an ISO 4217 code such as EUR")
        _zone(self.timezone)


HELP: Mapping[str, str] = {
    "file": "Payments to replay: Parquet, CSV or NDJSON (the last two may be gzipped).",
    "url": "Address of the API.",
    "key": "API key of the source the payments belong to.",
    "source": "The source's id; decisions of other sources are ignored. Default: whichever the key belongs to.",
    "columns": "FIELD=COLUMN, e.g. --map amount=TX_AMOUNT; repeat it. attributes.NAME=COLUMN sends a column as an attribute.",
    "currency": "Currency of files that have no such column.",
    "timezone": "Time zone of times that name none.",
    "since": "Only payments from this event time on.",
    "until": "Only payments before this event time.",
    "limit": "Only the first N payments, in event time.",
    "rate": "Payments a second. Default: as fast as they are accepted.",
    "batch": "Payments a request, about.",
    "concurrency": "Requests in flight. One keeps all payments in order of time; more keep only each customer's own.",
    "max_undecided": "Hold back while more payments than that wait for their decision (with --wait-decisions).",
    "labels": "Post the file's labels, each when its event time has come.",
    "label_delay": "How long after the payment its label becomes known, e.g. 7d, 36h.",
    "label_source": "Who says so: import, chargeback or customer.",
    "wait_decisions": "Wait for every decision and judge them against the file's labels.",
    "wait_s": "Give up waiting when no decision came for so many seconds.",
    "judge_since": "Judge only payments from this event time on: what comes before is warm-up.",
    "patience_s": "Give up when the API has been away or busy for so many seconds.",
}
"""One sentence for each field of ReplayOptions, for the command line's --help."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(value: str) -> timedelta:
    """`7d`, `36h`, `90m`, `30s`, `2w`. Raises InvalidInput."""
    number, unit = value[:-1], value[-1:]
    try:
        return timedelta(seconds=float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError) as error:
        raise InvalidInput(f"{value!r} is not a duration such as 7d, 36h or 90m") from error


def parse_moment(value: str, timezone: str = "UTC") -> datetime:
    """A date or time in ISO 8601; one without a zone is in `timezone`. Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not a date or time such as 2018-07-01 or 2018-07-01T09:30:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=_zone(timezone))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(f"--timezone {name!r} is not a time zone name such as Europe/Lisbon") from error
