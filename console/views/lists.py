"""Lists in words: entries, the form that adds them, and hits on decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from console.i18n import Words, marked, reader, stored
from console.i18n import gettext as _
from console.views.words import ENTITIES, EntityLink, Moment, count, entity, moment
from core.acts.lists import ANALYST_AT_MOST, SNOOZE_AT_MOST, reaches
from core.base.terms import ActorType, EntityKind, EntityList, Role
from core.stores.lists import State
from core.tables.policy import ListEntry

LISTS: Final = Words(
    {
        EntityList.DENY: marked("Deny"),
        EntityList.ALLOW: marked("Allow"),
        EntityList.WATCH: marked("Watch"),
        EntityList.SNOOZE: marked("Snooze"),
    }
)
EFFECTS: Final = Words(
    {
        EntityList.DENY: marked("Its payments are declined."),
        EntityList.ALLOW: marked("Its payments are approved, unless a deny entry or a rule asks for decline."),
        EntityList.WATCH: marked("Its payments are at least reviewed."),
        EntityList.SNOOZE: marked("Its payments open no alerts. What is decided stays the same."),
    }
)
LIST_ICONS: Final = {
    EntityList.DENY: "ban",
    EntityList.ALLOW: "shield-check",
    EntityList.WATCH: "eye",
    EntityList.SNOOZE: "clock",
}
STATES: Final = Words(
    {State.LIVE: marked("In force"), State.SOON: marked("Running out soon"), State.ENDED: marked("Ended")}
)
SOON: Final = timedelta(days=7)
OPEN_END, BY_DATE = "open", "date"
PERIODS: Final = Words(
    {
        "1": marked("1 day"),
        "7": marked("7 days"),
        "30": marked("30 days"),
        "90": marked("90 days"),
        BY_DATE: marked("After a last day"),
        OPEN_END: marked("Until somebody ends it"),
    }
)
SAID: Final = Words(
    {
        "list-added": marked("It is on the list. The next payment is decided with it."),
        "list-extended": marked("The entry runs out when you said."),
        "list-ended": marked("The entry has ended. The next payment is decided without it."),
    }
)
SENTENCES: Final = Words(
    {
        "This customer is on the deny list": marked("This customer is on the deny list"),
        "This customer is on the allow list": marked("This customer is on the allow list"),
        "This customer is on the watch list": marked("This customer is on the watch list"),
        "This customer is on the snooze list": marked("This customer is on the snooze list"),
        "This card is on the deny list": marked("This card is on the deny list"),
        "This card is on the allow list": marked("This card is on the allow list"),
        "This card is on the watch list": marked("This card is on the watch list"),
        "This card is on the snooze list": marked("This card is on the snooze list"),
        "This merchant is on the deny list": marked("This merchant is on the deny list"),
        "This merchant is on the allow list": marked("This merchant is on the allow list"),
        "This merchant is on the watch list": marked("This merchant is on the watch list"),
        "This merchant is on the snooze list": marked("This merchant is on the snooze list"),
        "This device is on the deny list": marked("This device is on the deny list"),
        "This device is on the allow list": marked("This device is on the allow list"),
        "This device is on the watch list": marked("This device is on the watch list"),
        "This device is on the snooze list": marked("This device is on the snooze list"),
        "This IP address is on the deny list": marked("This IP address is on the deny list"),
        "This IP address is on the allow list": marked("This IP address is on the allow list"),
        "This IP address is on the watch list": marked("This IP address is on the watch list"),
        "This IP address is on the snooze list": marked("This IP address is on the snooze list"),
    }
)
"""What a hit's stored text begins with."""
FIRST_RULES: Final = (
    marked("Ten or more payments with this device within an hour"),
    marked("At least ten times what this customer usually pays, from a device the customer never used before"),
)
"""Texts of core.rules.defaults, to be translated. A later policy's rules are told as they were written."""


def hit_words(text: str) -> str:
    """A list hit's stored text in the reader's language, the reason as it was written; any other text as it is."""
    said, colon, reason = text.partition(": ")
    return f"{SENTENCES[said]}{colon}{reason}" if said in SENTENCES else stored(text)


@dataclass(frozen=True)
class EntryRow:
    id: str
    list: str
    list_words: str
    icon: str
    entity: EntityLink
    reason: str
    added: Moment
    added_by: str
    expires: Moment | None
    soon: bool
    ended: Moment | None
    ended_words: str
    """How it ended; empty while it is in force."""
    alert_href: str
    may_change: bool


def entry_row(row: ListEntry, names: Mapping[UUID, str], role: Role, now: datetime) -> EntryRow:
    entity_list, kind = EntityList(row.list), EntityKind(row.kind)
    link = entity(kind, row.entity_id)
    assert link is not None  # an entry names one
    ended = row.ended_at or (row.expires_at if row.expires_at and row.expires_at <= now else None)
    return EntryRow(
        id=str(row.id),
        list=row.list,
        list_words=LISTS[entity_list],
        icon=LIST_ICONS[entity_list],
        entity=link,
        reason=row.reason,
        added=moment(row.created_at, now),
        added_by=_who(row.created_by, names),
        expires=moment(row.expires_at, now) if row.expires_at else None,
        soon=row.expires_at is not None and row.expires_at <= now + SOON,
        ended=moment(ended, now) if ended else None,
        ended_words=_how_ended(row, names) if ended else "",
        alert_href=f"/alerts/{row.alert_id}" if row.alert_id else "",
        may_change=not ended and reaches(role, entity_list, row.expires_at, now),
    )


def _who(actor: str, names: Mapping[UUID, str]) -> str:
    kind, _sep, ident = actor.partition(":")
    if kind != ActorType.USER.value:
        return f"Ronda ({ident})"
    return names.get(UUID(ident), ident)


def _how_ended(row: ListEntry, names: Mapping[UUID, str]) -> str:
    return _("ended by %(name)s", name=_who(row.ended_by, names)) if row.ended_by else _("ran out")


def people_of(rows: Sequence[ListEntry]) -> list[UUID]:
    actors = {actor for row in rows for actor in (row.created_by, row.ended_by or "")}
    return [UUID(actor.partition(":")[2]) for actor in actors if actor.startswith(f"{ActorType.USER.value}:")]


@dataclass(frozen=True)
class Choice:
    value: str
    words: str
    note: str = ""


@dataclass(frozen=True)
class EntryForm:
    """given: what was typed or is proposed. problems: by field."""

    lists: list[Choice]
    kinds: list[Choice]
    periods: list[Choice]
    given: Mapping[str, str]
    problems: Mapping[str, str]
    hint: str


FIELDS: Final = ("list", "kind", "entity_id", "reason", "period", "until", "back", "exact")
_BLANK: Final = {"list": EntityList.DENY.value, "kind": EntityKind.CARD.value, "period": "30"}


def entry_form(
    role: Role, given: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> EntryForm:
    asked = given or {}
    return EntryForm(
        lists=[Choice(one.value, words, EFFECTS[one]) for one, words in LISTS.items()],
        kinds=[Choice(kind.value, title) for kind, (title, _icon) in ENTITIES.items()],
        periods=[Choice(value, words) for value, words in PERIODS.items()],
        given={name: asked.get(name) or _BLANK.get(name, "") for name in FIELDS},
        problems=problems or {},
        hint=_(
            "Snooze lasts %(snooze)s days at most. Allow and deny for more than %(days)s days need a lead.",
            snooze=SNOOZE_AT_MOST.days,
            days=ANALYST_AT_MOST.days,
        )
        if role is Role.ANALYST
        else _("Snooze lasts %(snooze)s days at most.", snooze=SNOOZE_AT_MOST.days),
    )


def expiry(period: str, until: str, now: datetime) -> datetime | None:
    """When an entry of this period runs out. Raises ValueError on what the form cannot have meant."""
    if period == OPEN_END:
        return None
    if period == BY_DATE:
        last = date.fromisoformat(until)
        return datetime.combine(last + timedelta(days=1), time(), reader().tz)
    if period not in PERIODS:
        raise ValueError(period)
    return now + timedelta(days=int(period))


@dataclass(frozen=True)
class ListTab:
    key: str
    words: str
    icon: str
    count: str
    href: str
    current: bool


def lists_href(**query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"/lists?{urlencode(given)}" if given else "/lists"


def list_tabs(counts: Mapping[EntityList, int], chosen: EntityList | None, words: str) -> list[ListTab]:
    every = ListTab("all", _("All"), "", count(sum(counts.values())), lists_href(q=words), chosen is None)
    return [
        every,
        *(
            ListTab(
                one.value, LISTS[one], LIST_ICONS[one], count(counts[one]), lists_href(list=one, q=words), one is chosen
            )
            for one in EntityList
        ),
    ]


def state_tabs(chosen: State, entity_list: EntityList | None, words: str) -> list[ListTab]:
    name = entity_list.value if entity_list else ""
    return [
        ListTab(
            one.value,
            STATES[one],
            "",
            "",
            lists_href(list=name, show="" if one is State.LIVE else one, q=words),
            one is chosen,
        )
        for one in State
    ]
