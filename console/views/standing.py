"""The state of the system on one strip: each entry a word, what it means, and where to look further."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.i18n import gettext as _
from console.i18n import ngettext
from console.views.audit import Sealing
from console.views.words import Moment, count, maybe_moment, moment
from core.stores.overview import SourceState
from core.tables.policy import RegisteredModel

MOST_COUNTED = 1000


@dataclass(frozen=True)
class Entry:
    """`level`: good, warn or bad; the icon and the words say the same."""

    key: str
    title: str
    words: str
    level: str
    href: str = ""
    at: Moment | None = None


def up_to(number: int, most: int) -> str:
    """`1,000 or more` where counting ended."""
    return _("%(number)s or more", number=count(number)) if number >= most else count(number)


def scoring(without: int, minutes: int) -> Entry:
    """`without`: payments decided without features or model in the last `minutes`."""
    if not without:
        return Entry("scoring", _("Scoring"), _("Normal"), "good")
    words = ngettext(
        "Degraded: %(number)s payment in %(minutes)s min decided without features or model",
        "Degraded: %(number)s payments in %(minutes)s min decided without features or model",
        without,
        number=up_to(without, MOST_COUNTED),
        minutes=minutes,
    )
    return Entry("scoring", _("Scoring"), words, "bad")


def letters(waiting: int, most: int) -> Entry:
    if not waiting:
        return Entry("letters", _("Dead letters"), _("None waits"), "good")
    words = ngettext("%(number)s waits", "%(number)s wait", waiting, number=up_to(waiting, most))
    return Entry("letters", _("Dead letters"), words, "warn", "/dead-letters")


def champion(model: RegisteredModel | None, proposed: bool, now: datetime) -> Entry:
    if model is None:
        return Entry("champion", _("Champion"), _("None yet: rules alone decide"), "warn", "/models")
    words = _("%(model)s, a training is proposed", model=model.id) if proposed else model.id
    level = "warn" if proposed else "good"
    return Entry("champion", _("Champion"), words, level, f"/models/{model.id}", maybe_moment(model.promoted_at, now))


def seal(state: Sealing) -> Entry:
    if state.behind:
        return Entry(
            "seal", _("Audit seal"), _("Behind: %(waiting)s", waiting=state.waiting), "bad", "/audit", state.at
        )
    if not state.seal:
        return Entry("seal", _("Audit seal"), _("None yet"), "warn", "/audit")
    return Entry("seal", _("Audit seal"), _("No. %(number)s", number=state.seal), "good", "/audit", state.at)


@dataclass(frozen=True)
class SourceLine:
    id: str
    name: str
    last: Moment | None


def source_lines(found: Sequence[SourceState], now: datetime) -> list[SourceLine]:
    """The one that was silent longest last."""
    ordered = sorted(found, key=lambda one: one.last_at.timestamp() if one.last_at else 0.0, reverse=True)
    return [SourceLine(one.id, one.name, moment(one.last_at, now) if one.last_at else None) for one in ordered]


def last_payment(lines: Sequence[SourceLine]) -> Entry:
    """Of whichever source; `lines` as `source_lines` orders them."""
    newest = lines[0].last if lines else None
    if newest is None:
        return Entry("last-payment", _("Last payment"), _("None yet"), "warn")
    return Entry("last-payment", _("Last payment"), newest.short, "good", at=newest)
