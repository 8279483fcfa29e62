"""The control sample: some approved payments are looked at all the same, so that labels are not only those of alerts."""

from dataclasses import dataclass, replace

from core.base.hashing import lot
from core.base.settings import Settings
from core.base.terms import FeaturesStatus, Outcome
from workers.verdicts import Verdict

_PURPOSE = b"ronda control sample"


@dataclass(frozen=True)
class ControlSample:
    """`share` of approved payments; `unusual_share`, when that is more, of those whose anomaly is at least `unusual_from`."""

    share: float
    unusual_from: float
    unusual_share: float

    @classmethod
    def of(cls, settings: Settings) -> "ControlSample":
        return cls(settings.control_share, settings.control_unusual_from, settings.control_unusual_share)

    def probability(self, anomaly: float | None) -> float:
        """The chance with which such a payment is drawn; whoever trains weights it by one over this."""
        unusual = anomaly is not None and anomaly >= self.unusual_from
        return max(self.share, self.unusual_share) if unusual else self.share

    def draw(self, verdict: Verdict) -> Verdict:
        """The same verdict, marked when it is drawn. A redelivered payment draws the same lot; a snoozed one is not looked at."""
        if verdict.outcome is not Outcome.APPROVE or verdict.status is not FeaturesStatus.COMPLETE or verdict.snoozed:
            return verdict
        chance = self.probability(verdict.anomaly)
        drawn = lot(_PURPOSE, verdict.payment.uid.bytes) < chance
        return replace(verdict, control_probability=chance) if drawn else verdict
