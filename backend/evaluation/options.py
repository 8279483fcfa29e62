"""What an evaluation is asked to do, with the help text of each option."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from core.base.errors import InvalidInput


class Protocol(StrEnum):
    """handbook: weeks, cards with a known fraud left out (Fraud Detection Handbook). monthly: calendar months. split: one test period."""

    HANDBOOK = "handbook"
    MONTHLY = "monthly"
    SPLIT = "split"


class Features(StrEnum):
    """default: the whole catalogue. book: the 15 features of the Fraud Detection Handbook."""

    DEFAULT = "default"
    BOOK = "book"


class Trees(StrEnum):
    """default: what `ronda train` grows. book: the boosting that the published figures of the 15 features were reproduced with."""

    DEFAULT = "default"
    BOOK = "book"


TRAIN_DAYS: Mapping[Protocol, int | None] = {Protocol.HANDBOOK: 28, Protocol.MONTHLY: 90, Protocol.SPLIT: None}
"""None = everything before the test period."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Checked on construction: raises InvalidInput with a sentence for the command line."""

    files: tuple[Path, ...]
    protocol: Protocol = Protocol.HANDBOOK
    train_days: int | None = None
    delay_days: int = 7
    warm_up_days: int = 30
    since: datetime | None = None
    until: datetime | None = None
    features: Features = Features.DEFAULT
    trees: Trees = Trees.DEFAULT
    gain: bool = False
    intervals: bool = False
    resamples: int = 200
    seed: int = 7
    threads: int = 2
    columns: Mapping[str, str] = field(default_factory=dict)
    currency: str = "EUR"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.files:
            raise InvalidInput("name at least one file of payments")
        if self.train_days is not None and self.train_days <= 0:
            raise InvalidInput("--train-days must be greater than 0")
        if self.delay_days < 0 or self.warm_up_days < 0:
            raise InvalidInput("--delay-days and --warm-up-days must not be negative")
        if self.threads < 1:
            raise InvalidInput("--threads must be at least 1")
        if self.since and self.until and self.since >= self.until:
            raise InvalidInput("--since must be before --until")
        if self.gain and self.features is Features.BOOK:
            raise InvalidInput("--gain compares with the book's features: it needs --features default")

    @property
    def window_days(self) -> int | None:
        """Days learned from; None = everything before."""
        return self.train_days or TRAIN_DAYS[self.protocol]


HELP: Mapping[str, str] = {
    "files": "Labelled payments: Parquet, CSV or NDJSON (the last two may be gzipped). Several are one stream, in time order; the one "
    "that ends last is judged, the others warm it up.",
    "protocol": "handbook: test weeks without the cards already known to be compromised; monthly: calendar months; split: one test "
    "period, everything before it is learned from.",
    "train_days": "Days learned from before each test period.",
    "delay_days": "How long after its payment a label becomes known.",
    "warm_up_days": "Days at the stream's start that only fill the features' windows.",
    "since": "First day judged.",
    "until": "Judge payments before this day.",
    "features": "default: the whole catalogue; book: the 15 features of the Fraud Detection Handbook.",
    "trees": "default: what `ronda train` grows; book: 200 trees of 8 leaves, as published figures for the 15 features were reproduced.",
    "gain": "Also learn from the book's 15 features with the same trees, and show the difference.",
    "intervals": "95 % intervals of average precision, from resampled customers.",
    "seed": "Seed of trees and intervals.",
    "threads": "Growths of trees at work at once, one thread each.",
    "columns": "FIELD=COLUMN, e.g. --map amount=TX_AMOUNT; repeat it.",
    "currency": "Currency of files that have no such column.",
    "timezone": "Time zone of times that name none.",
}
"""One sentence for each option, for the command line's --help."""
