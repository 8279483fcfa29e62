"""Money, times, shares, scores and links in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from babel import Locale
from babel.numbers import format_currency, format_decimal, get_currency_symbol, get_decimal_symbol, get_group_symbol

from console.i18n import Words, marked, reader
from console.i18n import gettext as _
from core.base.bands import band_of
from core.base.clock import rfc3339
from core.base.money import exponent_of, to_major
from core.base.terms import (
    AlertStatus,
    EntityKind,
    FeaturesStatus,
    Label,
    LabelSource,
    Language,
    ModelStage,
    Outcome,
    RunStatus,
    ScoreBand,
)

OUTCOMES: Final = Words(
    {Outcome.APPROVE: marked("Approve"), Outcome.REVIEW: marked("Review"), Outcome.DECLINE: marked("Decline")}
)
LABELS: Final = Words(
    {Label.FRAUD: marked("Fraud"), Label.LEGITIMATE: marked("Legitimate"), Label.UNSURE: marked("Unsure")}
)
LABEL_SOURCES: Final = Words(
    {
        LabelSource.IMPORT: marked("Import"),
        LabelSource.ANALYST: marked("Analyst"),
        LabelSource.CUSTOMER: marked("Customer"),
        LabelSource.CHARGEBACK: marked("Chargeback"),
    }
)
STATUSES: Final = Words(
    {AlertStatus.OPEN: marked("Open"), AlertStatus.CLAIMED: marked("Claimed"), AlertStatus.CLOSED: marked("Closed")}
)
STAGES: Final = Words(
    {
        ModelStage.CHAMPION: marked("Champion"),
        ModelStage.CANDIDATE: marked("Candidate"),
        ModelStage.SHADOW: marked("Shadow"),
        ModelStage.RETIRED: marked("Retired"),
        ModelStage.REFUSED: marked("Refused"),
    }
)
RUN_STATUSES: Final = Words(
    {
        RunStatus.REQUESTED: marked("Waiting"),
        RunStatus.RUNNING: marked("Running"),
        RunStatus.DONE: marked("Done"),
        RunStatus.FAILED: marked("Failed"),
        RunStatus.CANCELLED: marked("Cancelled"),
    }
)
FEATURES_STATUSES: Final = Words(
    {
        FeaturesStatus.COMPLETE: marked("Complete"),
        FeaturesStatus.DEGRADED: marked("Degraded: some features were not known when this was decided"),
        FeaturesStatus.ABSENT: marked("Absent: this payment could not be scored, so it is left to a person"),
    }
)
ENTITY_TITLES: Final = Words(
    {
        EntityKind.CUSTOMER: marked("Customer"),
        EntityKind.CARD: marked("Card"),
        EntityKind.MERCHANT: marked("Merchant"),
        EntityKind.DEVICE: marked("Device"),
        EntityKind.IP: marked("IP address"),
    }
)
_ENTITY_ICONS: Final = {
    EntityKind.CUSTOMER: "user",
    EntityKind.CARD: "credit-card",
    EntityKind.MERCHANT: "store",
    EntityKind.DEVICE: "smartphone",
    EntityKind.IP: "globe",
}


class _Entities(Mapping[EntityKind, tuple[str, str]]):
    """Title and icon."""

    def __getitem__(self, kind: EntityKind) -> tuple[str, str]:
        return ENTITY_TITLES[kind], _ENTITY_ICONS[kind]

    def __iter__(self) -> Iterator[EntityKind]:
        return iter(EntityKind)

    def __len__(self) -> int:
        return len(EntityKind)


ENTITIES: Final = _Entities()


def not_known() -> str:
    return _("not known")


@lru_cache(maxsize=len(Language))
def _marks(locale: Locale) -> Mapping[int, str]:
    """From Python's `1,234.5` to the locale's marks, with a real minus sign, so that columns line up."""
    return str.maketrans({",": get_group_symbol(locale), ".": get_decimal_symbol(locale), "-": "−"})


def digits(text: str) -> str:
    """A number that Python wrote, as the reader writes it."""
    return text.translate(_marks(reader().locale))


def money(minor: int, currency: str) -> str:
    """`€1,234.50`, `R$ 1.234,50`; as many decimals as ISO 4217 gives the currency (CLDR's own counts differ for a few)."""
    return _money(minor, currency, reader().locale)


@lru_cache(maxsize=8192)
def _money(minor: int, currency: str, locale: Locale) -> str:
    decimals = exponent_of(currency)
    pattern = f"{_sign(currency, locale)}#,##0" + ("." + "0" * decimals if decimals else "")
    return format_currency(to_major(minor, currency), currency, format=pattern, locale=locale, currency_digits=False)


def _sign(currency: str, locale: Locale) -> str:
    """Where a currency's sign goes: in English only one of letters (`KWD`) stands apart, in Portuguese every one."""
    apart = locale.language == "pt" or get_currency_symbol(currency, locale=locale)[-1:].isalpha()
    return "¤\xa0" if apart else "¤"


_SHORT: Final = ((1e9, marked("B")), (1e6, marked("M")), (1e3, marked("K")))


def worth(hundredths: float, currency: str | None) -> str:
    """A sum of a report, in hundredths of a major unit; a plain number where the payments' currencies differ or are not known."""
    locale, major = reader().locale, round(hundredths / 100)
    if currency is None:
        return format_decimal(major, locale=locale)
    pattern = f"{_sign(currency, locale)}#,##0"
    return format_currency(major, currency, format=pattern, locale=locale, currency_digits=False)


def short_money(hundredths: float, currency: str | None) -> str:
    """`€12K`, `€1.5M`, `R$ 12 mil`: for the axis of a chart."""
    locale = reader().locale
    symbol = get_currency_symbol(currency, locale=locale) if currency else ""
    gap = "\xa0" if symbol and locale.language == "pt" else ""
    major = hundredths / 100
    size, letter = next(((size, _(letter)) for size, letter in _SHORT if abs(major) >= size), (1.0, ""))
    return f"{symbol}{gap}{compact(major / size)}{letter}"


def inside(words: str) -> str:
    """A title as it stands inside a sentence: `deny`, but `IP address`."""
    return words if words[1:2].isupper() else f"{words[:1].lower()}{words[1:]}"


def span(low: str, high: str) -> str:
    """`1 to 3`."""
    return _("%(low)s to %(high)s", low=low, high=high)


def count(number: int) -> str:
    return digits(f"{number:,}")


def percent(share: float | None, decimals: int = 0) -> str:
    """Of a share in [0, 1]. Small but not zero reads `<1%`, not `0%`."""
    if share is None:
        return not_known()
    step = 10.0 ** -(decimals + 2)
    if 0 < share < step:
        return digits(f"<{step:.{decimals}%}")
    if 1 - step < share < 1:
        return digits(f">{1 - step:.{decimals}%}")
    return digits(f"{share:.{decimals}%}")


def number(value: float | None, decimals: int = 3) -> str:
    return not_known() if value is None else digits(f"{value:.{decimals}f}")


def signed(value: float) -> str:
    """`+1.25`, `−0.40`."""
    return digits(f"{value:+.2f}")


def compact(value: float) -> str:
    """At most four significant digits, without trailing zeros: `0.25`, `12`, `1,250`."""
    if value == int(value) and abs(value) < 1e15:
        return digits(f"{int(value):,}")
    return format_decimal(float(f"{value:.4g}"), locale=reader().locale, format="#,##0.####").replace("-", "−")


def ago(gap: timedelta) -> str:
    """`now`, `42 s`, `7 min`, `3 h`, `12 d`; what lies ahead reads `in 7 min`."""
    seconds = int(abs(gap.total_seconds()))
    if seconds < 5:
        return _("now")
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            words = f"{seconds // size} {unit}"
            return words if gap.total_seconds() > 0 else _("in %(time)s", time=words)
    raise AssertionError("seconds >= 5 has a unit")


@dataclass(frozen=True)
class Moment:
    """`iso` for the machine (the page's script keeps `ago` current from it), the others for people, in their time zone.

    full: `24 Nov 2026, 09:30:05 UTC−03:00 (12:30:05 UTC)`.
    """

    iso: str
    full: str
    short: str
    ago: str


def moment(when: datetime, now: datetime) -> Moment:
    who = reader()
    local = when.astimezone(who.tz)
    same_year = local.year == now.astimezone(who.tz).year
    return Moment(
        iso=rfc3339(when.astimezone(UTC)),
        full=exact(when),
        short=f"{day_month(local)} {local:%H:%M}" if same_year else day(local),
        ago=ago(now - when),
    )


def exact(when: datetime) -> str:
    """To the second, with the offset, and the same in UTC."""
    local, utc = when.astimezone(reader().tz), when.astimezone(UTC)
    text = f"{day(local)}, {local:%H:%M:%S} {offset(local)}"
    if offset(local) == "UTC":
        return text
    return f"{text} ({utc:%H:%M:%S} UTC)" if utc.date() == local.date() else f"{text} ({day(utc)}, {utc:%H:%M:%S} UTC)"


def minute(when: datetime) -> str:
    """`24 Nov 2026, 09:30 UTC−03:00`."""
    local = when.astimezone(reader().tz)
    return f"{day(local)}, {local:%H:%M} {offset(local)}"


def offset(local: datetime) -> str:
    """`UTC`, `UTC−03:00`."""
    shift = f"{local:%z}"
    return "UTC" if shift in ("+0000", "") else f"UTC{shift[:3]}:{shift[3:5]}".replace("-", "−")


def day(local: datetime) -> str:
    """`24 Nov 2026`, in the zone the time is in."""
    return f"{day_month(local)} {local.year}"


def day_month(local: date) -> str:
    return f"{local.day} {_months(reader().locale)[local.month]}"


@lru_cache(maxsize=len(Language))
def _months(locale: Locale) -> Mapping[int, str]:
    return {number: name.rstrip(".") for number, name in locale.months["format"]["abbreviated"].items()}


def maybe_moment(when: datetime | None, now: datetime) -> Moment | None:
    return moment(when, now) if when else None


@dataclass(frozen=True)
class Score:
    """A calibrated probability in words. `level` 0 (no model) to 4 = filled parts of the mark."""

    word: str
    percent: str
    level: int


BANDS: Final = Words(
    {
        ScoreBand.NONE: marked("Not scored"),
        ScoreBand.LOW: marked("Low"),
        ScoreBand.ELEVATED: marked("Elevated"),
        ScoreBand.HIGH: marked("High"),
        ScoreBand.VERY_HIGH: marked("Very high"),
    }
)
_LEVELS: Final = {band: level for level, band in enumerate(ScoreBand)}


def score(probability: float | None) -> Score:
    band = band_of(probability)
    share = _("no model") if probability is None else percent(probability)
    return Score(BANDS[band], share, _LEVELS[band])


@dataclass(frozen=True)
class EntityLink:
    """An entity with its page."""

    kind: str
    title: str
    icon: str
    id: str
    href: str


def entity(kind: EntityKind, ident: str | None) -> EntityLink | None:
    if not ident:
        return None
    title, icon = ENTITIES[kind]
    return EntityLink(kind.value, title, icon, ident, entity_href(kind, ident))


def entity_href(kind: EntityKind, ident: str) -> str:
    """Whatever characters the id has. Browsers take `.` and `..` for steps of a path, so such an id is written behind a `~`."""
    safe = f"~{ident}" if ident in (".", "..") or ident.startswith("~") else ident
    return f"/entities/{kind.value}/{quote(safe, safe='')}"


def entity_id_of(written: str) -> str:
    """The id that `entity_href` wrote as the last part of its path."""
    return unquote(written).removeprefix("~")


def middle(text: str, most: int = 22) -> str:
    """A long id with its middle left out: both ends tell ids apart."""
    if len(text) <= most:
        return text
    keep = (most - 1) // 2
    return f"{text[:keep]}…{text[-keep:]}"


def duration(gap: timedelta) -> str:
    """`850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `14 d 22 h`."""
    seconds = gap.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
