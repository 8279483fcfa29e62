"""Formatting: what people read."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

import pytest

from console.views import words
from console.views.audit import ACTIONS, ACTOR_TYPES, RESULTS
from console.views.lists import EFFECTS, LIST_ICONS, LISTS, SENTENCES, hit_words
from core.base.ids import new_uuid
from core.base.terms import (
    Action,
    ActorType,
    AlertStatus,
    EntityKind,
    EntityList,
    FeaturesStatus,
    Label,
    LabelSource,
    ModelStage,
    Outcome,
    Result,
    RunStatus,
)
from core.rules.lists import Listed, hit_of, sentence

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        (123450, "EUR", "€1,234.50"),
        (0, "USD", "$0.00"),
        (500, "JPY", "¥500"),
        (1234567, "KWD", "KWD\xa01,234.567"),  # three decimals
        (100, "IQD", "IQD\xa00.100"),  # CLDR would show none
        (123456789, "BRL", "R$1,234,567.89"),
    ],
)
def test_money_has_the_currencys_own_decimals(minor: int, currency: str, expected: str) -> None:
    assert words.money(minor, currency) == expected


@pytest.mark.parametrize(
    ("share", "digits", "expected"),
    [
        (0.0, 0, "0%"),
        (0.0004, 0, "<1%"),  # not "0%": that would say it cannot happen
        (0.345, 1, "34.5%"),
        (0.9996, 0, ">99%"),
        (1.0, 0, "100%"),
        (0.0004, 1, "<0.1%"),
        (None, 0, "not known"),
    ],
)
def test_percent_never_rounds_to_certainty(share: float | None, digits: int, expected: str) -> None:
    assert words.percent(share, digits) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "now"),
        (-4, "now"),
        (42, "42 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (200_000, "2 d"),
        (-600, "in 10 min"),
    ],
)
def test_ago(seconds: int, expected: str) -> None:
    assert words.ago(timedelta(seconds=seconds)) == expected


def test_moments_are_in_the_readers_zone_whatever_zone_they_come_in() -> None:
    elsewhere = datetime.fromisoformat("2026-11-24T09:30:05-03:00")
    shown = words.moment(elsewhere, NOW + timedelta(hours=1))
    assert shown.full == "24 Nov 2026, 12:30:05 UTC"
    assert shown.iso == "2026-11-24T12:30:05.000Z"
    assert shown.ago == "29 min"


def test_a_moment_of_another_year_says_which() -> None:
    assert words.moment(datetime(2025, 3, 1, tzinfo=UTC), NOW).short == "1 Mar 2025"


@pytest.mark.parametrize(
    ("probability", "word", "level"),
    [
        (None, "Not scored", 0),
        (0.0, "Low", 1),
        (0.1, "Elevated", 2),
        (0.4, "High", 3),
        (0.75, "Very high", 4),
        (1.0, "Very high", 4),
    ],
)
def test_score_in_words(probability: float | None, word: str, level: int) -> None:
    shown = words.score(probability)
    assert (shown.word, shown.level) == (word, level)


def test_entity_links_carry_any_id_safely() -> None:
    for ident in ("a&b=c d/é", "..", ".", "~", "~.", "%2F", "?#"):
        link = words.entity(EntityKind.CARD, ident)
        assert link is not None
        path = urlsplit(link.href).path
        assert (path, path.count("/")) == (link.href, 3)
        assert words.entity_id_of(path.rpartition("/")[2]) == ident
        assert path == urljoin("http://here/x", path).removeprefix("http://here")  # no step of a path
    assert words.entity(EntityKind.CARD, None) is None


def test_middle_keeps_both_ends() -> None:
    assert words.middle("short") == "short"
    long = words.middle("0123456789" * 5, 11)
    assert long == "01234…56789"


@pytest.mark.parametrize(
    ("value", "expected"), [(0.25, "0.25"), (1250.0, "1,250"), (1234.567, "1,235"), (-0.364, "−0.364")]
)
def test_compact(value: float, expected: str) -> None:
    assert words.compact(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.85, "850 ms"), (12, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (1_290_000, "14 d 22 h")],
)
def test_duration(seconds: float, expected: str) -> None:
    assert words.duration(timedelta(seconds=seconds)) == expected


@pytest.mark.parametrize(
    ("table", "enum"),
    [
        (words.OUTCOMES, Outcome),
        (words.LABELS, Label),
        (words.LABEL_SOURCES, LabelSource),
        (words.STATUSES, AlertStatus),
        (words.STAGES, ModelStage),
        (words.RUN_STATUSES, RunStatus),
        (words.FEATURES_STATUSES, FeaturesStatus),
        (words.ENTITIES, EntityKind),
        (LISTS, EntityList),
        (EFFECTS, EntityList),
        (LIST_ICONS, EntityList),
        (ACTIONS, Action),
        (RESULTS, Result),
        (ACTOR_TYPES, ActorType),
    ],
)
def test_every_term_has_its_word(table: dict[object, object], enum: type) -> None:
    assert set(table) == set(enum)


def test_a_list_hit_is_told_in_the_readers_language_and_its_reason_as_it_was_written() -> None:
    for one in EntityList:
        for kind in EntityKind:
            assert sentence(one, kind) in SENTENCES
            hit = hit_of(Listed(new_uuid(), one, kind, "x", "seen: twice", None))
            assert hit_words(hit.text) == f"{SENTENCES[sentence(one, kind)]}: seen: twice"
    assert hit_words("A rule: its words") == "A rule: its words"
