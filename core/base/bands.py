"""Score bands: fixed, so that a band means the same whatever model or threshold is in force."""

from typing import Final

from core.base.terms import ScoreBand

LOWEST: Final = {ScoreBand.VERY_HIGH: 0.75, ScoreBand.HIGH: 0.40, ScoreBand.ELEVATED: 0.10, ScoreBand.LOW: 0.0}
"""From that score on, highest first. An alert that no model scored is in the band `none`."""


def band_of(score: float | None) -> ScoreBand:
    if score is None:
        return ScoreBand.NONE
    return next((band for band, least in LOWEST.items() if score >= least), ScoreBand.LOW)
