"""The overview: what is not known yet is never shown as a nought, and currencies are never added up."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from console.i18n import Reader, speaking_to
from console.navigation import places
from console.views import overview, overview_charts, standing
from console.views.daily import Bar, Part, daily
from console.views.days import Day, currencies, money_words, quantile, read_days
from core.acts.people import SessionUser
from core.base.ids import new_uuid
from core.base.terms import Role
from core.stores.overview import STEP, SourceState
from core.tables.casework import DayFigures
from core.tables.people import User

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def row(days_ago: int, **changes: Any) -> DayFigures:
    figures = {
        "opened": {"review": 4, "decline": 2, "control": 1}, "labels": {"fraud": 3, "legitimate": 3, "unsure": 0},
        "closed": 6, "seconds": {"40": 5, "60": 1}, "saved": {}, "lost": {}, "open": None, **changes,
    }  # fmt: skip
    return DayFigures(day=TODAY - timedelta(days=days_ago), measured_at=NOW, figures=figures)


def days(*rows: DayFigures, length: int = 7, began: int = 400, wait: int = 3) -> list[Day]:
    return read_days(rows, TODAY, length, TODAY - timedelta(days=began), wait)


def test_backlogs_are_reckoned_back_from_what_is_open_now() -> None:
    found = days(row(2, closed=1), row(1, closed=10), row(0, open=20, closed=3))
    assert [day.backlog for day in found][-3:] == [19, 16, 20]
    assert [day.measured for day in found] == [False] * 4 + [True] * 3


def test_days_before_the_first_payment_have_no_figures_even_if_they_were_measured() -> None:
    assert [day.measured for day in days(row(1), row(0), began=0)][-2:] == [False, True]


def test_a_precision_with_unlabelled_alerts_is_said_to_be_unknown_and_drawn_open() -> None:
    said = {"fraud": 1, "legitimate": 1, "unsure": 0}
    nothing = {"fraud": 0, "legitimate": 0, "unsure": 0}
    none = {"review": 0, "decline": 0, "control": 3}
    found = overview_charts.precision(
        days(row(3, opened=none, labels=nothing), row(2, labels=nothing), row(1, labels=said), row(0))
    )
    assert [cells[:2] for cells in found.table[:5]] == [
        ("24 Nov", "50%"), ("23 Nov", "50% so far, not yet known"), ("22 Nov", "not yet known"), ("21 Nov", "no alert"),
        ("20 Nov", "before the first payment"),
    ]  # fmt: skip
    assert [shape.kind for shape in found.shapes] == ["precision open", "precision"]


def test_money_of_a_day_that_is_not_old_enough_is_never_nought() -> None:
    assert money_words(0, "EUR", known=False) == "not yet known"
    assert money_words(1250, "EUR", known=False) == "€12.50 so far"
    assert money_words(0, "EUR", known=True) == "€0.00"
    chart = overview_charts.worth_of(days(row(3, lost={"EUR": [1, 900]}), row(0, saved={"EUR": [2, 5000]})), "EUR")
    assert chart.table[0] == ("24 Nov", "€50.00 so far", "not yet known")
    assert chart.table[3] == ("21 Nov", "€0.00", "€9.00")
    assert [shape.kind for shape in chart.shapes] == ["lost", "saved open"]


def test_currencies_stand_side_by_side_the_one_with_most_frauds_first() -> None:
    found = days(row(1, saved={"EUR": [1, 100], "JPY": [5, 900]}), row(0, lost={"EUR": [1, 250]}))
    assert currencies(found) == ["JPY", "EUR"]
    saved, lost = overview.money_tiles(found)
    assert (saved.lines, lost.lines) == (("¥900", "€1.00"), ("€2.50",))
    assert "€2.50 of today’s payments" in lost.today
    assert [id for id, _ in overview_charts.charts(found)][-2:] == ["money-jpy", "money-eur"]


def test_nothing_saved_reads_as_unknown_until_all_days_are_old_enough() -> None:
    assert overview.money_tiles(days(row(0)))[0].lines == ("not yet known",)
    assert overview.money_tiles(days(row(0), wait=0))[0].lines == ("nothing",)


def test_quantiles_of_steps_are_right_to_a_fortieth() -> None:
    steps = {0: 50, 50: 40, 94: 10}
    assert quantile(steps, 0.5) == STEP**0.5
    assert abs((quantile(steps, 0.9) or 0) / STEP**50.5 - 1) < 1e-9
    assert quantile({}, 0.5) is None


def test_tiles_compare_today_with_the_range() -> None:
    found = {
        tile.key: tile
        for tile in overview.tiles(
            days(row(2), row(1, opened={"review": 9, "decline": 0, "control": 0}), row(0, open=12))
        )
    }
    assert (found["opened"].value, found["opened"].against) == ("7", "8 a day on average before")
    assert (found["open"].value, found["open"].href) == ("12", "/queue")
    assert (found["precision"].value, [day.day for day in days(row(0))][-1]) == ("50%", TODAY)
    assert found["precision"].against == "50% over the 2 days that are known"
    assert found["deciding"].value == "7 s"


def test_scales_of_time_end_at_round_times() -> None:
    chart = overview_charts.deciding(days(row(1, seconds={"170": 4}), row(0, seconds={"160": 1})))
    assert chart.y_labels == ["2 h", "1 h", "0"]
    assert chart.x_labels == ["18 Nov", "20 Nov", "22 Nov", "24 Nov"]
    assert len(overview_charts.volume(days(row(0), length=90)).x_labels) == 5


def test_a_bar_that_is_not_nought_can_be_seen_and_none_leaves_the_picture() -> None:
    bars = [
        Bar(TODAY, "a", [Part("x", 1), Part("y", 100_000)], mark=200_000),
        Bar(TODAY, "b", below=[Part("z", 200_000)]),
    ]
    chart = daily("Title", bars, str, legend=[], table_head=[], table=[])
    assert all(float(shape.height) >= 0.5 for shape in chart.shapes)
    assert all(0 <= float(shape.y) <= 100 and float(shape.y) + float(shape.height) <= 101 for shape in chart.shapes)
    assert chart.zero == "50"


def test_the_strip_says_what_is_wrong() -> None:
    assert standing.scoring(0, 15).level == "good"
    assert standing.scoring(1000, 15).words.startswith("Degraded: 1,000 or more payments in 15 min")
    assert (standing.letters(1, 1000).words, standing.letters(0, 1000).words) == ("1 waits", "None waits")
    assert standing.champion(None, False, NOW).level == "warn"
    silent, busy = SourceState("a", "A", None), SourceState("b", "B", NOW)
    assert [line.id for line in standing.source_lines([silent, busy], NOW)] == ["b", "a"]


def person(role: Role) -> SessionUser:
    user = User(id=new_uuid(), email="a@b", name="A", role=role, password_hash="", created_at=NOW)
    return SessionUser(user=user, csrf_token="t", signed_in_at=NOW)


def test_navigation_shows_each_role_its_places_and_leads_the_waiting_dead_letters() -> None:
    shown = [place.key for place in places(person(Role.VIEWER), "/alerts/1", 3)]
    assert shown == ["overview", "queue", "transactions", "lists", "labels", "models"]
    found = {place.key: place for place in places(person(Role.LEAD), "/dead-letters", 100)}
    assert [key for key, place in found.items() if place.current] == ["dead-letters"]
    assert (found["dead-letters"].badge, found["audit"].badge) == ("99+", "")
    assert next(place.key for place in places(person(Role.LEAD), "/alerts/1", 0) if place.current) == "queue"
    assert places(None, "/sign-in", 0) == []


def test_days_are_utc_and_say_where_that_is_not_midnight() -> None:
    assert overview.day_begins(NOW.date()) == ""
    with speaking_to(Reader(zone="America/Sao_Paulo")):
        assert overview.day_begins(NOW.date()) == "21:00"


def test_a_tile_without_a_figure_is_set_as_words() -> None:
    assert [overview.Tile("k", "T", value, "").wordy for value in ("11", "100% so far", "no decision")] == [
        False,
        False,
        True,
    ]
