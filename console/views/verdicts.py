"""Reasons, and what may go onto a list with a decision, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from console.i18n import Words, marked
from console.i18n import gettext as _
from console.views.words import ENTITIES, LABELS, middle
from core.base.terms import REASONS, DispositionReason, EntityKind, EntityList, Label
from core.stores.flow import ENTITY_COLUMNS
from core.tables.flow import Transaction

ICONS: Final = {Label.FRAUD: "circle-x", Label.LEGITIMATE: "circle-check", Label.UNSURE: "circle-question-mark"}
ENDS: Final = {"1": timedelta(days=1), "7": timedelta(days=7), "30": timedelta(days=30)}
"""How long an entry lasts that goes onto a list with a decision; what lasts longer is put there on the lists' own page."""
DISPOSITION_REASONS: Final = Words(
    {
        DispositionReason.ACCOUNT_TAKEOVER: marked("Account takeover"),
        DispositionReason.STOLEN_CARD: marked("Stolen card"),
        DispositionReason.CARD_TESTING: marked("Card testing"),
        DispositionReason.FALSE_IDENTITY: marked("False identity"),
        DispositionReason.SCAM: marked("Scam victim"),
        DispositionReason.FRIENDLY_FRAUD: marked("Friendly fraud"),
        DispositionReason.OTHER_FRAUD: marked("Other fraud"),
        DispositionReason.KNOWN_CUSTOMER: marked("Usual for them"),
        DispositionReason.CONFIRMED: marked("Customer confirmed"),
        DispositionReason.TRAVEL: marked("Travel"),
        DispositionReason.ONE_OFF: marked("Plausible one-off"),
        DispositionReason.TEST_PAYMENT: marked("Test payment"),
        DispositionReason.OTHER_LEGITIMATE: marked("Other honest reason"),
        DispositionReason.NOT_ENOUGH: marked("Not enough to tell"),
        DispositionReason.NOT_REACHED: marked("Customer not reached"),
        DispositionReason.CONTRADICTORY: marked("Signs contradict"),
    }
)


def list_words(entity_list: EntityList) -> str:
    return {
        EntityList.DENY: _("Deny: decline from now on"),
        EntityList.WATCH: _("Watch: review from now on"),
        EntityList.ALLOW: _("Allow: approve, unless a rule declines"),
        EntityList.SNOOZE: _("Snooze: decide as usual, without alerts"),
    }[entity_list]


@dataclass(frozen=True)
class Choice:
    key: str
    title: str
    chosen: bool = False


@dataclass(frozen=True)
class LabelChoice:
    """One label with the reasons that go with it."""

    key: str
    title: str
    icon: str
    chosen: bool
    reasons: list[Choice]


def label_choices(label: str = "", reason: str = "") -> list[LabelChoice]:
    return [
        LabelChoice(
            key.value,
            LABELS[key],
            ICONS[key],
            key.value == label,
            [Choice(why.value, DISPOSITION_REASONS[why], why.value == reason) for why in reasons],
        )
        for key, reasons in REASONS.items()
    ]


def said(label: str | None, reason: str | None) -> str:
    """`Fraud, stolen card`."""
    words = LABELS[Label(label)] if label else ""
    return f"{words}, {DISPOSITION_REASONS[DispositionReason(reason)].lower()}" if reason else words


def list_choices(chosen: str = "") -> list[Choice]:
    order = (EntityList.DENY, EntityList.WATCH, EntityList.ALLOW, EntityList.SNOOZE)
    return [Choice(key.value, list_words(key), key.value == chosen) for key in order]


def entity_choices(row: Transaction, chosen: str = "") -> list[Choice]:
    """What the payment names: `card` means its card."""
    order = (EntityKind.CARD, EntityKind.DEVICE, EntityKind.CUSTOMER, EntityKind.IP, EntityKind.MERCHANT)
    named = [(kind, getattr(row, ENTITY_COLUMNS[kind])) for kind in order]
    return [
        Choice(kind.value, f"{ENTITIES[kind][0]} {middle(ident)}", kind.value == chosen)
        for kind, ident in named
        if ident
    ]


def end_choices(chosen: str = "") -> list[Choice]:
    titles = {"1": _("for a day"), "7": _("for a week"), "30": _("for 30 days")}
    return [Choice(key, title, key == (chosen or "30")) for key, title in titles.items()]


def entry_end(key: str, now: datetime) -> datetime | None:
    """None when it is no choice of ours."""
    return now + ENDS[key] if key in ENDS else None


def joined(parts: Sequence[str]) -> str:
    return " · ".join(part for part in parts if part)
