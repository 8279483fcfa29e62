"""A person's own settings, ready to be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_location

from console.i18n import LANGUAGE_NAMES, Words, marked, reader, zones
from console.i18n import gettext as _
from console.views.words import Moment, moment, offset
from core.acts.profiles import Profile, session_id
from core.base.terms import Density, Theme
from core.tables.people import User, UserSession

BROWSERS_CHOICE: Final = ""
"""The value of a choice that is left to the browser."""

THEMES: Final = Words({Theme.SYSTEM: marked("System"), Theme.LIGHT: marked("Light"), Theme.DARK: marked("Dark")})
THEME_ICONS: Final = {Theme.SYSTEM: "monitor", Theme.LIGHT: "sun", Theme.DARK: "moon"}
DENSITIES: Final = Words({Density.COMPACT: marked("Compact"), Density.COMFORTABLE: marked("Comfortable")})
DENSITY_WORDS: Final = Words(
    {
        Density.COMPACT: marked("More rows at once"),
        Density.COMFORTABLE: marked("Higher rows, easier to hit"),
    }
)
_REGIONS: Final = Words(
    {
        "Africa": marked("Africa"),
        "America": marked("America"),
        "Antarctica": marked("Antarctica"),
        "Arctic": marked("Arctic"),
        "Asia": marked("Asia"),
        "Atlantic": marked("Atlantic"),
        "Australia": marked("Australia"),
        "Europe": marked("Europe"),
        "Indian": marked("Indian Ocean"),
        "Pacific": marked("Pacific"),
    }
)
SAID: Final = Words(
    {
        "profile": marked("Your settings are saved."),
        "password": marked("Your password is changed. Every other session was ended."),
        "session": marked("That session was ended."),
        "sessions": marked("Every other session was ended."),
    }
)
"""What a page says after an act, by the word in its address."""


@dataclass(frozen=True)
class Choice:
    value: str
    words: str
    chosen: bool
    note: str = ""
    icon: str = ""


@dataclass(frozen=True)
class ZoneGroup:
    title: str
    zones: list[Choice]


@dataclass(frozen=True)
class SessionRow:
    id: str
    browser: str
    agent: str
    signed_in: Moment
    seen: Moment
    current: bool


@dataclass(frozen=True)
class SettingsView:
    email: str
    languages: list[Choice]
    zone_now: str
    """What the time is where the reader is, with the zone's name."""
    zone_groups: list[ZoneGroup]
    zone_is_browsers: bool
    themes: list[Choice]
    densities: list[Choice]
    single_keys: bool
    sessions: list[SessionRow]


def settings_view(
    user: User, profile: Profile, sessions: Sequence[UserSession], own: bytes, now: datetime
) -> SettingsView:
    """own: the hash of the token that asks."""
    return SettingsView(
        email=user.email,
        languages=[
            Choice(BROWSERS_CHOICE, _("As my browser asks"), profile.language is None),
            *(Choice(each.value, LANGUAGE_NAMES[each], profile.language is each) for each in LANGUAGE_NAMES),
        ],
        zone_now=_zone_now(now),
        zone_groups=_zone_groups(profile.time_zone, now),
        zone_is_browsers=profile.time_zone is None,
        themes=[Choice(each.value, THEMES[each], profile.theme is each, icon=THEME_ICONS[each]) for each in Theme],
        densities=[
            Choice(each.value, DENSITIES[each], profile.density is each, DENSITY_WORDS[each]) for each in Density
        ],
        single_keys=profile.single_keys,
        sessions=[_session_row(session, own, now) for session in sessions],
    )


def _zone_now(now: datetime) -> str:
    local = now.astimezone(reader().tz)
    return _("It is %(time)s there now (%(offset)s).", time=f"{local:%H:%M}", offset=offset(local))


def _zone_groups(chosen: str | None, now: datetime) -> list[ZoneGroup]:
    """By region, then by the city's name in the reader's language; UTC first."""
    groups: dict[str, list[Choice]] = {title: [] for title in sorted(_REGIONS)}
    for name, city in _cities(reader().locale).items():
        words = f"{city} ({offset(now.astimezone(ZoneInfo(name)))})"
        groups[name.partition("/")[0]].append(Choice(name, words, name == chosen))
    found = [ZoneGroup(_REGIONS[name], sorted(each, key=lambda zone: zone.words)) for name, each in groups.items()]
    return [ZoneGroup("UTC", [Choice("UTC", "UTC", chosen == "UTC")]), *found]


@lru_cache(maxsize=4)
def _cities(locale: Locale) -> Mapping[str, str]:
    """Every zone that stands for a place, with the place's name."""
    places = [
        name for name in get_global("zone_territories") if name in zones() and name.partition("/")[0] in set(_REGIONS)
    ]
    return {name: get_timezone_location(name, locale=locale, return_city=True) for name in places}


def _session_row(session: UserSession, own: bytes, now: datetime) -> SessionRow:
    return SessionRow(
        id=session_id(session),
        browser=browser_words(session.agent),
        agent=session.agent,
        signed_in=moment(session.created_at.astimezone(UTC), now),
        seen=moment(session.last_seen_at.astimezone(UTC), now),
        current=session.token_sha == own,
    )


_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""The first that a browser names: all of them also name older ones."""
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser_words(agent: str) -> str:
    """`Firefox, Linux`, as far as the browser says the truth about itself."""
    browser = next((name for part, name in _BROWSERS if part in agent), "")
    system = next((name for part, name in _SYSTEMS if part in agent), "")
    return ", ".join(filter(None, (browser, system))) or _("A browser that does not say what it is")
