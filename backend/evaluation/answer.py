"""An evaluation's result for programs and for people."""

import statistics
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.table import Table

from backend.evaluation.options import EvaluationOptions

RANKING = ("average_precision", "roc_auc", "card_precision_100")
_HEADS = ("from", "learned", "tested", "frauds", "AP", "AUC", "CP@100", "recall at 1 %", "ratio", "Brier", "fit s")
"""CP@100: card precision at 100 a day. recall at 1 %: of false alarms among legitimate payments. ratio: frauds expected / frauds."""
NOTE = "Public data sets with ids and times are simulated: their figures compare models, they do not promise anything for real payments."


@dataclass(frozen=True)
class Answer:
    """weeks: figures of each judged period, oldest first. seconds: the whole evaluation. payments: of the stream."""

    options: EvaluationOptions
    weeks: list[dict[str, Any]]
    seconds: float
    replay_seconds: float
    payments: int
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "weeks": self.weeks,
            "mean": {name: statistics.fmean(self._column(name)) for name in RANKING},
            "worst": {name: min(self._column(name)) for name in RANKING},
            "calibration": self.calibration(),
            "seconds": round(self.seconds, 3),
            "replay_seconds": round(self.replay_seconds, 3),
            "payments": self.payments,
            "protocol": self.options.protocol.value,
            "train_days": self.options.window_days,
            "delay_days": self.options.delay_days,
            "features": self.options.features.value,
            "trees": self.options.trees.value,
            "seed": self.options.seed,
            "notes": [*self.notes, NOTE],
        }
        if self.options.gain:
            gains = self._column("gain")
            answer["gain"] = {"mean": statistics.fmean(gains), "worst": min(gains)}
        return answer

    def calibration(self) -> dict[str, float]:
        """ratio: frauds expected for each fraud that came, 1 is best."""
        ratios, briers = self._column("calibration_ratio"), self._column("brier")
        return {
            "mean_ratio": statistics.fmean(ratios),
            "least_ratio": min(ratios),
            "most_ratio": max(ratios),
            "mean_brier": statistics.fmean(briers),
            "worst_brier": max(briers),
        }

    def _column(self, name: str) -> list[float]:
        return [week[name] for week in self.weeks]

    def as_table(self) -> Table:
        window = self.options.window_days
        title = (
            f"{self.options.protocol.value} protocol: {f'{window} days' if window else 'all'} learned from, labels "
            f"{self.options.delay_days} days late, features {self.options.features.value}, trees {self.options.trees.value}, "
            f"seed {self.options.seed}"
        )
        heads = [*_HEADS, *(["book AP", "gain"] if self.options.gain else [])]
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        for place, head in enumerate(heads):
            table.add_column(head, justify="left" if place == 0 else "right", no_wrap=True)
        for week in self.weeks:
            table.add_row(*self._cells(week))
        table.add_section()
        for name, pick in (("mean", statistics.fmean), ("worst", min)):
            table.add_row(*self._summary(name, pick))
        return table

    def _cells(self, week: dict[str, Any]) -> list[str]:
        cells = [
            week["from"], f"{week['learned']:,}", f"{week['tested']:,}", f"{week['frauds']:,}",
            _with_interval(week["average_precision"], week.get("average_precision_interval")),
            f"{week['roc_auc']:.4f}", f"{week['card_precision_100']:.3f}", f"{week['recall_at_1pct_fpr']:.3f}",
            f"{week['calibration_ratio']:.2f}", f"{week['brier']:.5f}", f"{week['fit_seconds']:.1f}",
        ]  # fmt: skip
        if self.options.gain:
            cells += [
                f"{week['book_average_precision']:.3f}",
                _with_interval(week["gain"], week.get("gain_interval"), "+.3f"),
            ]
        return cells

    def _summary(self, name: str, pick: Any) -> list[str]:
        """Of the figures where more is better; calibration has no one direction."""
        shown = [f"{pick(self._column(one)):{form}}" for one, form in zip(RANKING, (".3f", ".4f", ".3f"), strict=True)]
        cells = [name, "", "", "", *shown, f"{pick(self._column('recall_at_1pct_fpr')):.3f}", "", "", ""]
        if self.options.gain:
            cells += [f"{pick(self._column('book_average_precision')):.3f}", f"{pick(self._column('gain')):+.3f}"]
        return cells


def _with_interval(value: float, found: list[float] | None, form: str = ".3f") -> str:
    return f"{value:{form}}" if found is None else f"{value:{form}} ({found[0]:{form}} to {found[1]:{form}})"
