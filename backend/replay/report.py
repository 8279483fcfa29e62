"""What a replay did and how good the decisions were, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Quality:
    """Scores against the file's labels. A measure is None where only one class, or no whole day, was scored."""

    payments: int
    frauds: int
    average_precision: float | None
    roc_auc: float | None
    card_precision_100: float | None
    """Mean over days of the share of frauds among the day's 100 cards of the highest score; caught cards leave."""
    days: int
    unscored: int
    """Decided payments without a score: no model was in force, or its features were away."""


@dataclass(frozen=True)
class Decisions:
    """The latest decision of each posted payment. `alerts`: those to review or declined."""

    decided: int
    undecided: int
    outcomes: Mapping[str, int]
    alerts: int


@dataclass(frozen=True, kw_only=True)
class ReplayReport:
    file: str
    url: str
    columns: Mapping[str, str]
    unused_columns: list[str]
    in_order: bool
    """False: the file was sorted first."""
    payments: int
    accepted: int
    replayed: int
    conflicts: int
    invalid: int
    unreadable: int
    """Rows that could not be made into a payment; nothing was posted for them."""
    errors: list[str]
    posting_s: float
    payments_per_s: float
    total_s: float
    repeated_requests: int
    labels: Mapping[str, int]
    decisions: Decisions | None
    """None: not waited for."""
    quality: Quality | None
    """None: not waited for, or the file has no labels."""
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_table(self) -> Table:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold")
        table.add_column()
        for name, words in self._lines():
            table.add_row(name, words)
        return table

    def _lines(self) -> list[tuple[str, str]]:
        taken = [("accepted", self.accepted), ("replayed", self.replayed), ("conflicts", self.conflicts)]
        refused = [("invalid", self.invalid), ("unreadable rows", self.unreadable)]
        lines = [
            ("payments", ", ".join(f"{count:,} {name}" for name, count in taken + refused)),
            (
                "speed",
                f"{self.payments_per_s:,.0f} payments/s over {self.posting_s:,.1f} s ({self.total_s:,.1f} s in all)",
            ),
        ]
        if self.labels:
            lines.append(("labels", ", ".join(f"{count:,} {name}" for name, count in self.labels.items())))
        if self.decisions:
            outcomes = ", ".join(f"{count:,} {name}" for name, count in self.decisions.outcomes.items())
            lines.append(("decisions", f"{self.decisions.decided:,}: {outcomes}; {self.decisions.alerts:,} alerts"))
        if self.quality:
            lines.append(("quality", _quality_words(self.quality)))
        lines += [("error", words) for words in self.errors]
        lines += [("note", words) for words in self.notes]
        return lines


def _quality_words(quality: Quality) -> str:
    measures = (
        ("average precision", quality.average_precision),
        ("ROC AUC", quality.roc_auc),
        (f"card precision@100 over {quality.days} days", quality.card_precision_100),
    )
    named = ", ".join(f"{name} {value:.4f}" for name, value in measures if value is not None)
    judged = f"{quality.frauds:,} frauds among {quality.payments:,} scored payments with a label"
    unscored = f"; {quality.unscored:,} were decided without a score" if quality.unscored else ""
    return f"{named or 'not measurable'} ({judged}{unscored})"
