"""Money, times, shares, scores and links in words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import urlencode

from babel.numbers import format_currency, format_decimal, get_currency_symbol

from core.base.clock import rfc3339
from core.base.money import exponent_of, to_major
from core.base.terms import AlertStatus, EntityKind, FeaturesStatus, Label, LabelSource, ModelStage, Outcome, RunStatus

LOCALE: Final = "en"
NOT_KNOWN: Final = "not known"

OUTCOMES: Final = {Outcome.APPROVE: "Approve", Outcome.REVIEW: "Review", Outcome.DECLINE: "Decline"}
LABELS: Final = {Label.FRAUD: "Fraud", Label.LEGITIMATE: "Legitimate", Label.UNSURE: "Unsure"}
LABEL_SOURCES: Final = {
    LabelSource.IMPORT: "Import",
    LabelSource.ANALYST: "Analyst",
    LabelSource.CUSTOMER: "Customer",
    LabelSource.CHARGEBACK: "Chargeback",
}
STATUSES: Final = {AlertStatus.OPEN: "Open", AlertStatus.CLAIMED: "Claimed", AlertStatus.CLOSED: "Closed"}
STAGES: Final = {
    ModelStage.CHAMPION: "Champion",
    ModelStage.CANDIDATE: "Candidate",
    ModelStage.SHADOW: "Shadow",
    ModelStage.RETIRED: "Retired",
    ModelStage.REFUSED: "Refused",
}
RUN_STATUSES: Final = {
    RunStatus.REQUESTED: "Waiting",
    RunStatus.RUNNING: "Running",
    RunStatus.DONE: "Done",
    RunStatus.FAILED: "Failed",
    RunStatus.CANCELLED: "Cancelled",
}
FEATURES_STATUSES: Final = {
    FeaturesStatus.COMPLETE: "Complete",
    FeaturesStatus.DEGRADED: "Degraded: some features were not known when this was decided",
    FeaturesStatus.ABSENT: "Absent: this payment could not be scored, so it is left to a person",
}
ENTITIES: Final = {
    EntityKind.CUSTOMER: ("Customer", "user"),
    EntityKind.CARD: ("Card", "credit-card"),
    EntityKind.MERCHANT: ("Merchant", "store"),
    EntityKind.DEVICE: ("Device", "smartphone"),
    EntityKind.IP: ("IP address", "globe"),
}
"""Title and icon."""


@lru_cache(maxsize=8192)
def money(minor: int, currency: str) -> str:
    """`€1,234.50`; as many decimals as ISO 4217 gives the currency (CLDR's own counts differ for a few)."""
    digits = exponent_of(currency)
    gap = "\xa0" if get_currency_symbol(currency, locale=LOCALE)[-1:].isalpha() else ""
    pattern = f"¤{gap}#,##0" + ("." + "0" * digits if digits else "")
    return format_currency(to_major(minor, currency), currency, format=pattern, locale=LOCALE, currency_digits=False)


_SHORT: Final = ((1e9, "B"), (1e6, "M"), (1e3, "K"))


def worth(hundredths: float, currency: str | None) -> str:
    """A sum of a report, in hundredths of a major unit; a plain number where the payments' currencies differ or are not known."""
    if currency is None:
        return format_decimal(round(hundredths / 100), locale=LOCALE)
    return format_currency(round(hundredths / 100), currency, format="¤#,##0", locale=LOCALE, currency_digits=False)


def short_money(hundredths: float, currency: str | None) -> str:
    """`€12K`, `€1.5M`: for the axis of a chart."""
    symbol = get_currency_symbol(currency, locale=LOCALE) if currency else ""
    major = hundredths / 100
    size, letter = next(((size, letter) for size, letter in _SHORT if abs(major) >= size), (1.0, ""))
    return f"{symbol}{compact(major / size)}{letter}"


def count(number: int) -> str:
    return format_decimal(number, locale=LOCALE)


def percent(share: float | None, digits: int = 0) -> str:
    """Of a share in [0, 1]. Small but not zero reads `<1%`, not `0%`."""
    if share is None:
        return NOT_KNOWN
    step = 10.0 ** -(digits + 2)
    if 0 < share < step:
        return f"<{step:.{digits}%}"
    if 1 - step < share < 1:
        return f">{1 - step:.{digits}%}"
    return f"{share:.{digits}%}"


def number(value: float | None, digits: int = 3) -> str:
    return NOT_KNOWN if value is None else f"{value:.{digits}f}"


def signed(value: float) -> str:
    """`+1.25`, `−0.40` (a real minus sign, so columns line up)."""
    return f"{value:+.2f}".replace("-", "−")


def compact(value: float) -> str:
    """At most four significant digits, without trailing zeros: `0.25`, `12`, `1,250`."""
    if value == int(value) and abs(value) < 1e15:
        return format_decimal(int(value), locale=LOCALE).replace("-", "−")
    return format_decimal(float(f"{value:.4g}"), locale=LOCALE, format="#,##0.####").replace("-", "−")


def ago(gap: timedelta) -> str:
    """`now`, `42 s`, `7 min`, `3 h`, `12 d`; what lies ahead reads `in 7 min`."""
    seconds = int(abs(gap.total_seconds()))
    if seconds < 5:
        return "now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            words = f"{seconds // size} {unit}"
            return words if gap.total_seconds() > 0 else f"in {words}"
    raise AssertionError("seconds >= 5 has a unit")


@dataclass(frozen=True)
class Moment:
    """`iso` for the machine (the page's script keeps `ago` current from it), the others for people; all UTC."""

    iso: str
    full: str
    short: str
    ago: str


def moment(when: datetime, now: datetime) -> Moment:
    utc = when.astimezone(UTC)
    same_year = utc.year == now.year
    return Moment(
        iso=rfc3339(utc),
        full=f"{utc:%-d %b %Y, %H:%M:%S} UTC",
        short=f"{utc:%-d %b %H:%M}" if same_year else f"{utc:%-d %b %Y}",
        ago=ago(now - utc),
    )


def maybe_moment(when: datetime | None, now: datetime) -> Moment | None:
    return moment(when, now) if when else None


@dataclass(frozen=True)
class Score:
    """A calibrated probability in words. `level` 0 (no model) to 4 = filled parts of the mark."""

    word: str
    percent: str
    level: int


_BANDS: Final = ((0.75, "Very high", 4), (0.40, "High", 3), (0.10, "Elevated", 2), (0.0, "Low", 1))
"""From that probability on. Fixed bands: the words mean the same whatever model or threshold is in force."""


def score(probability: float | None) -> Score:
    if probability is None:
        return Score("Not scored", "no model", 0)
    word, level = next((word, level) for at, word, level in _BANDS if probability >= at)
    return Score(word, percent(probability), level)


@dataclass(frozen=True)
class EntityLink:
    """An entity with the page that shows its payments."""

    kind: str
    title: str
    icon: str
    id: str
    href: str


def entity(kind: EntityKind, ident: str | None) -> EntityLink | None:
    if not ident:
        return None
    title, icon = ENTITIES[kind]
    return EntityLink(kind.value, title, icon, ident, f"/transactions?{urlencode({kind.value: ident})}")


def middle(text: str, most: int = 22) -> str:
    """A long id with its middle left out: both ends tell ids apart."""
    if len(text) <= most:
        return text
    keep = (most - 1) // 2
    return f"{text[:keep]}…{text[-keep:]}"


def duration(gap: timedelta) -> str:
    """`850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = gap.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
