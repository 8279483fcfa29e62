"""The queue's views as values: addresses, chips, facets and time left."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.asked import place_text
from console.i18n import Reader, speaking_to
from console.views.queue import badge, due, span
from console.views.queue_bar import default_views, shown_words
from console.views.queue_filters import chips, groups, reason_title, widenings
from console.views.queue_url import COLUMNS, QueueView, read_query, read_queue_place, read_view
from core.base.ids import new_uuid
from core.base.terms import DueState, EntityKind, Language, Outcome, ScoreBand
from core.stores.queue import Order, Place
from core.stores.queue_counts import Facets
from core.stores.queue_filter import Age, AlertFilter, Standing

NOW = datetime(2026, 11, 29, 12, 0, 0, 123456, tzinfo=UTC)
words = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C", "Z"]), min_size=1, max_size=20
)


def some(kind: type[Outcome] | type[ScoreBand] | type[DueState]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(kind)).map(lambda chosen: tuple(value for value in kind if value in chosen))


amounts = st.none() | st.decimals(0, 10**9, places=2)
views = st.builds(
    QueueView,
    st.builds(
        AlertFilter,
        standing=st.sampled_from(Standing),
        words=st.just("") | words,
        outcomes=some(Outcome),
        bands=some(ScoreBand),
        due=some(DueState),
        age=st.none() | st.sampled_from(Age),
        reasons=st.sets(words, max_size=3).map(lambda found: tuple(sorted(found))),
        currencies=st.sets(st.sampled_from(["BRL", "EUR", "JPY"])).map(lambda found: tuple(sorted(found))),
        amount_from=amounts,
        amount_to=amounts,
        entities=st.sets(st.sampled_from(EntityKind)).map(
            lambda kinds: tuple((kind, "x y&") for kind in EntityKind if kind in kinds)
        ),
        control=st.none() | st.booleans(),
    ),
    st.sampled_from(Order),
    st.sets(st.sampled_from(COLUMNS)).map(lambda names: tuple(name for name in COLUMNS if name in names)),
)


@given(views)
def test_a_view_is_read_back_from_its_address(view: QueueView) -> None:
    assert read_query(view.query()) == view
    assert read_query(view.query()).query() == view.query()


@given(views)
def test_each_chip_takes_something_away(view: QueueView) -> None:
    for chip in chips(view, {}):
        narrower = read_query(chip.href.partition("?")[2])
        assert len(narrower.pairs()) == len(view.pairs()) - 1
        assert set(narrower.pairs()) < set(view.pairs())


@pytest.mark.parametrize(
    ("order", "value"),
    [
        (Order.NEWEST, NOW),
        (Order.DUE, NOW),
        (Order.LOSS, 5),
        (Order.AMOUNT, 10**15),
        (Order.SCORE, 0.1),
        (Order.SCORE, -1.0),
    ],
)
def test_a_place_survives_its_address_exactly(order: Order, value: datetime | int | float) -> None:
    place = Place(value, new_uuid())
    assert read_queue_place(place_text(place.value, place.id), order) == place


def test_amounts_are_typed_in_the_readers_way_and_kept_in_one() -> None:
    form = [("least", "1.000,50")]
    with speaking_to(Reader(Language.PT_BR)):
        view = read_view(form).view
    assert view.wanted.amount_from == Decimal("1000.5")
    assert view.query() == "amount_from=1000.5"
    for text in ("ten", "-1", "NaN", "9" * 30):
        assert "least" in read_view([("least", text)]).problems


@pytest.mark.parametrize(
    ("minutes", "state", "text"),
    [
        (185, "ok", "3 h 5 min"),
        (30, "soon", "30 min"),
        (0.5, "soon", "0 min"),
        (0, "overdue", "0 min"),
        (-1500, "overdue", "1 d 1 h"),
    ],
)
def test_time_left_is_told_by_words_and_a_mark(minutes: float, state: str, text: str) -> None:
    shown = due(NOW + timedelta(minutes=minutes), NOW)
    assert (shown.state, shown.span) == (state, text)
    assert shown.words
    assert shown.icon
    assert span(timedelta(minutes=minutes)) == text


def test_a_facet_keeps_what_is_chosen_though_nothing_has_it() -> None:
    view = QueueView(AlertFilter(reasons=("gone",), currencies=("JPY",)))
    counts: dict[str, dict[str, int]] = {
        "outcome": {"review": 2}, "band": {}, "due": {}, "age": {}, "control": {}, "currency": {"EUR": 1200},
        "reason": {"testing": 3},
    }  # fmt: skip
    shown = {group.name: group for group in groups(view, Facets(0, False, counts), {"testing": "A rule's words"})}
    assert [(choice.words, choice.count, choice.checked) for choice in shown["reason"].choices] == [
        ("A rule's words", "3", False),
        ("gone", "0", True),
    ]
    assert [(choice.value, choice.count) for choice in shown["currency"].choices] == [("EUR", "999+"), ("JPY", "0")]
    assert [choice.checked for choice in shown["status"].choices] == [True, *[False] * 5]


def test_an_empty_view_says_which_filter_is_too_narrow() -> None:
    view = QueueView(AlertFilter(outcomes=(Outcome.REVIEW,), amount_from=Decimal(9000)), Order.LOSS)
    [only] = widenings(view, {"outcome": 0, "amount": 12}, {})
    assert only.words == "Without “Amount: from 9,000” there are 12"
    assert only.href == "/queue?outcome=review&order=loss"


def test_badges_and_totals_are_bounded() -> None:
    assert [badge(number) for number in (None, 0, 999, 1000)] == ["", "0", "999", "999+"]
    assert shown_words(50, 50, Facets(312, False, {})) == "Showing 100 of 312"
    assert shown_words(0, 50, Facets(10_000, True, {})) == "Showing 50 of 10,000+"


def test_everybody_has_a_view_of_the_control_sample() -> None:
    assert default_views(1000)["control"].query() == "control=yes"
    assert default_views(1000)["high"].query() == "amount_from=1000&order=loss"
    assert reason_title("control", {}) == "Control sample"
    assert reason_title("deny_list", {}) == "On the deny list"
