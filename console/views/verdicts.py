"""Reasons, and what may go onto a list with a decision, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from console.i18n import gettext as _
from console.views.words import ENTITIES, LABELS, middle
from core.base.terms import REASONS, DispositionReason, EntityKind, EntityList, Label
from core.stores.flow import ENTITY_COLUMNS
from core.tables.flow import Transaction

ICONS: Final = {Label.FRAUD: "circle-x", Label.LEGITIMATE: "circle-check", Label.UNSURE: "circle-question-mark"}
ENDS: Final = {"1": timedelta(days=1), "7": timedelta(days=7), "30": timedelta(days=30)}
"""How long an entry lasts that goes onto a list with a decision; what lasts longer is put there on the lists' own page."""


def reason_words(reason: DispositionReason) -> str:
    return {
        DispositionReason.ACCOUNT_TAKEOVER: _("Account takeover"),
        DispositionReason.STOLEN_CARD: _("Stolen card"),
        DispositionReason.CARD_TESTING: _("Card testing"),
        DispositionReason.FALSE_IDENTITY: _("False identity"),
        DispositionReason.SCAM: _("Scam victim"),
        DispositionReason.FRIENDLY_FRAUD: _("Friendly fraud"),
        DispositionReason.OTHER_FRAUD: _("Other fraud"),
        DispositionReason.KNOWN_CUSTOMER: _("Usual for them"),
        DispositionReason.CONFIRMED: _("Customer confirmed"),
        DispositionReason.TRAVEL: _("Travel"),
        DispositionReason.ONE_OFF: _("Plausible one-off"),
        DispositionReason.TEST_PAYMENT: _("Test payment"),
        DispositionReason.OTHER_LEGITIMATE: _("Other honest reason"),
        DispositionReason.NOT_ENOUGH: _("Not enough to tell"),
        DispositionReason.NOT_REACHED: _("Customer not reached"),
        DispositionReason.CONTRADICTORY: _("Signs contradict"),
    }[reason]


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
            [Choice(why.value, reason_words(why), why.value == reason) for why in reasons],
        )
        for key, reasons in REASONS.items()
    ]


def said(label: str | None, reason: str | None) -> str:
    """`Fraud, stolen card`."""
    words = LABELS[Label(label)] if label else ""
    return f"{words}, {reason_words(DispositionReason(reason)).lower()}" if reason else words


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
