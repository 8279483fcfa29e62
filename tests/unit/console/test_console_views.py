"""Charts whose parts add up, rows, reasons and the search form."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.asked import place_text, read_place
from console.hub import BACKLOG, OVERLAP, RELOAD, Badges, Change, Drawn, Listener, queue_message, sse
from console.i18n import Reader, speaking_to
from console.router import templates
from console.views import audit as audit_views
from console.views import desk as desk_views
from console.views import evidence
from console.views.behind import what
from console.views.charts import WATERFALL_WIDTH, Step, waterfall
from console.views.features import with_unit
from console.views.figures import figure_rows
from console.views.plots import precision_recall, reliability
from console.views.queue import alert_row
from console.views.search import read_search
from core.acts.audit import recomputed_leaf
from core.base.errors import InvalidInput, StaleVersion
from core.base.ids import new_uuid
from core.base.terms import Action, ActorType, AlertStatus, EntityKind, FeaturesStatus, Language, ModelStage
from core.stores.evidence import Behind
from core.stores.queue_filter import AlertFilter, Standing
from core.stores.seals import Unsealed
from core.tables.casework import Alert
from core.tables.flow import Decision, Transaction
from core.tables.ledger import AuditEvent
from core.tables.policy import RegisteredModel
from models.features.catalogue import CATALOGUE_VERSION, FEATURES
from models.scoring.evidence import Evidence

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def an_alert(**changes: Any) -> Alert:
    values = {
        "id": new_uuid(),
        "transaction_uid": new_uuid(),
        "outcome": "review",
        "score": 0.62,
        "expected_loss_minor": 6200,
        "amount_minor": 10000,
        "currency": "EUR",
        "customer_id": "cus_1",
        "merchant_id": "mer_1",
        "top_reason": "seven payments on this device",
        "occurred_at": NOW,
        "opened_at": NOW,
        "due_at": NOW + timedelta(hours=2),
    }
    return Alert(**{**values, **changes})


def a_transaction(**changes: Any) -> Transaction:
    values = {
        "uid": new_uuid(),
        "source_id": "shop",
        "transaction_id": "pay_1",
        "occurred_at": NOW,
        "accepted_at": NOW,
        "amount_minor": 10000,
        "currency": "EUR",
        "customer_id": "cus_1",
        "device_id": "dev_1",
        "attributes": {},
    }
    return Transaction(**{**values, **changes})


def a_decision(**changes: Any) -> Decision:
    size = len(FEATURES)
    contributions = [0.01 * place for place in range(size)]
    values = {
        "transaction_uid": new_uuid(),
        "version": 1,
        "outcome": "review",
        "score": 0.62,
        "base_margin": -4.0,
        "margin": -4.0 + sum(contributions),
        "contributions": contributions,
        "features": [None, *[1.0] * (size - 1)],
        "features_status": "complete",
        "policy_version": 1,
        "catalogue_version": CATALOGUE_VERSION,
        "model_id": "abc",
        "decided_at": NOW,
        "reasons": [],
        "rule_hits": [],
    }
    return Decision(**{**values, **changes})


def test_waterfall_bars_run_from_base_to_margin_without_a_gap() -> None:
    steps = [Step(f"f{place}", "1", value) for place, value in enumerate([1.5, -0.7, 0.4, 0.0, *[0.05] * 20])]
    margin = -3.0 + sum(step.contribution for step in steps)
    chart = waterfall(-3.0, margin, steps)
    assert chart.bars[-1].total == pytest.approx(margin, abs=1e-9)
    assert chart.bars[0].start == chart.base_x
    assert chart.bars[-1].end == chart.margin_x
    assert all(before.end == after.start for before, after in zip(chart.bars, chart.bars[1:], strict=False))
    assert all(float(bar.x) >= 0 and float(bar.x) + float(bar.width) <= WATERFALL_WIDTH for bar in chart.bars)
    assert chart.bars[-1].label == "14 other features"
    assert [bar.direction for bar in chart.bars[:3]] == ["up", "down", "up"]


def test_waterfall_of_nothing_stands_still() -> None:
    chart = waterfall(-2.0, -2.0, [Step("f", "1", 0.0)])
    assert chart.bars == []
    assert chart.base_x == chart.margin_x


def test_plots_keep_their_points_inside() -> None:
    plot = precision_recall([("a", "champion", [[1.0, 0.0], [0.0, 1.0]])])
    assert plot.lines[0].points == "40.0,26.0 308.0,184.0"  # by recall, whatever order they came in
    dots = reliability("a", [[0.5, 0.5, 10], [0.9, 1.0, 0]]).dots
    assert len(dots) == 1  # an empty bin says nothing


def test_a_row_says_who_holds_or_closed_it() -> None:
    user = new_uuid()
    row = alert_row(an_alert(status="claimed", claimed_by=user), {user: "An analyst"}, NOW + timedelta(minutes=7))
    assert (row.status_words, row.who, row.opened.ago, row.amount) == ("Claimed", "An analyst", "7 min", "€100.00")
    closed = alert_row(an_alert(status="closed", closed_by=user, disposition="fraud"), {user: "An analyst"}, NOW)
    assert (closed.status_words, closed.who) == ("Fraud", "An analyst")


def test_a_control_sample_says_so_and_an_alert_on_its_own_merit_does_not() -> None:
    template = templates().get_template("_alert_row.html")
    drawn = template.render(row=alert_row(an_alert(control_probability=0.001, outcome="approve"), {}, NOW))
    assert "Control sample" in drawn
    assert "Drawn by chance, at 0.10%," in drawn
    assert "Control sample" not in template.render(row=alert_row(an_alert(), {}, NOW))


def test_a_row_escapes_what_came_from_outside() -> None:
    alert = an_alert(customer_id='"><script>alert(1)</script>', top_reason="<b>bold</b>")
    html = templates().get_template("_alert_row.html").render(row=alert_row(alert, {}, NOW))
    assert "<script>" not in html
    assert "&lt;b&gt;bold" in html


ROW, NOTHING = Drawn(lambda: "<tr></tr>"), Badges({}, {})


def listener(**changes: Any) -> Listener:
    return Listener(**{"topic": "queue", "user_id": new_uuid(), "since": NOW, **changes})


def test_a_new_alert_goes_on_top_and_a_known_one_is_patched() -> None:
    fresh, known = (
        an_alert(opened_at=NOW + timedelta(seconds=1)),
        an_alert(opened_at=NOW - OVERLAP - timedelta(seconds=1)),
    )
    message = queue_message(listener(), [Change(fresh, ROW), Change(known, ROW)], NOTHING, 5)
    assert 'hx-target="#queue-rows" hx-swap="afterbegin"' in message
    assert f'hx-target="#alert-{known.id}" hx-swap="outerMorph"' in message
    assert message.startswith("id: 5\n")


def test_an_alert_opened_just_before_the_page_was_rendered_is_not_lost() -> None:
    """It may have been committed after the page read the table."""
    alert = an_alert(opened_at=NOW - timedelta(seconds=2))
    assert "#queue-rows" in queue_message(listener(), [Change(alert, ROW)], NOTHING, 1)


@pytest.mark.parametrize(
    ("status", "chosen", "inserted"),
    [
        ("open", "", True),
        ("claimed", "", True),
        ("closed", "", False),
        ("open", "claimed", False),
        ("closed", "closed", True),
    ],
)
def test_a_filtered_page_gets_only_what_it_shows(status: str, chosen: str, inserted: bool) -> None:
    alert = an_alert(status=status, opened_at=NOW + timedelta(seconds=1))
    message = queue_message(
        listener(wanted=AlertFilter(standing=Standing(chosen or "todo"))), [Change(alert, ROW)], NOTHING, 1
    )
    assert ("#queue-rows" in message) is inserted


def test_a_slow_stream_is_told_to_load_afresh_instead_of_growing() -> None:
    slow = listener()
    for place in range(BACKLOG + 1):
        slow.push(f"message {place}")
    assert slow.queue.qsize() == 1
    assert slow.queue.get_nowait() == RELOAD


def test_a_message_of_several_lines_stays_one_message() -> None:
    assert sse(body="a\n\nb", event="x", ident=3) == "id: 3\nevent: x\ndata: a\ndata: \ndata: b\n\n"


def test_reasons_show_values_beside_the_usual_and_lead_to_the_payments_behind() -> None:
    stored = {
        "code": "device_activity",
        "text": "9 payments on this device in the last hour",
        "direction": "up",
        "contribution": 1.5,
        "features": [
            {"name": "device_velocity_1h_count", "value": 9.0, "contribution": 1.5, "usual": 1.0, "usual_range": [1, 3]}
        ],
        "evidence": {"feature": "x", "entity": "device", "what": "payments", "window_s": 3600, "count": 9},
    }
    transaction = a_transaction()
    view = evidence.judgement(a_decision(reasons=[stored]), transaction, NOW)
    [reason] = view.up
    assert reason.strength == 3
    assert (reason.features[0].value, reason.features[0].usual) == ("9 payments", "1 to 3 payments")
    assert reason.behind is not None
    assert reason.behind.words == "The 9 payments behind this"
    assert reason.behind.href == f"/transactions/{transaction.uid}/reasons/device_activity"
    assert view.waterfall is not None
    assert view.waterfall.margin == "+" + f"{-4.0 + sum(0.01 * place for place in range(len(FEATURES))):.2f}"


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (None, None),
        ({"feature": "x", "entity": "device", "what": "payments", "window_s": 3600, "count": 1}, None),
        ({"feature": "x", "entity": "merchant", "what": "frauds", "window_s": 3600, "count": 0}, None),
        (
            {"feature": "x", "entity": "merchant", "what": "frauds", "window_s": 3600, "count": 1},
            "The fraud behind this",
        ),
        ({"feature": "x", "entity": "merchant", "what": "labels", "most": 5}, "The payments behind this"),
    ],
)
def test_a_reason_leads_to_payments_only_where_others_than_this_one_made_it(
    stored: dict[str, Any] | None, words: str | None
) -> None:
    reason: dict[str, Any] = {"code": "c", "text": "t", "direction": "up", "contribution": 1.0, "features": []}
    if stored:
        reason["evidence"] = stored
    [shown] = evidence.judgement(a_decision(reasons=[reason]), a_transaction(), NOW).up
    assert (shown.behind.words if shown.behind else None) == words


@pytest.mark.parametrize(
    ("sought", "found", "expected"),
    [
        (
            Evidence("x", "device", "payments", window_s=3600, distinct="customer", count=7),
            Behind(7, [], 42_000, ["EUR"], 4),
            "7 payments on this device in the hour before, this one among them; 4 different customers; €420.00 in all.",
        ),
        (
            Evidence("x", "customer", "payments", other="category", window_s=7 * 86_400),
            Behind(3, [], 42_000, ["EUR", "USD"]),
            "3 payments by this customer in this merchant category in the 7 days before, this one among them.",
        ),
        (Evidence("x", "customer", "pair", other="merchant", count=1), Behind(1, [], 5_000, ["EUR"]),
         "1 earlier payment by this customer at this merchant."),
        (Evidence("x", "customer", "amounts", most=50, count=12), Behind(12, [], 5_000, ["EUR"]),
         "The 12 earlier payments of this customer that this one is compared with."),
        (Evidence("x", "merchant", "frauds", window_s=30 * 86_400), Behind(2, []),
         "2 frauds at this merchant reported in the 30 days before."),
        (Evidence("x", "country", "frauds", window_s=30 * 86_400, by_day=True), Behind(1, []),
         "1 fraud in this country reported in the 30 days up to that day."),
        (Evidence("x", "merchant", "labels", most=5), Behind(5, []),
         "The newest 5 payments at this merchant with a label reported before."),
        (Evidence("x", "customer", "places", most=2), Behind(2, [], 5_000, ["EUR"]),
         "The newest 2 payments by this customer that say where they were made, this one among them."),
    ],
)  # fmt: skip
def test_what_stands_behind_a_number_is_said(sought: Evidence, found: Behind, expected: str) -> None:
    assert what(sought, found) == expected


def test_an_unknown_feature_is_never_shown_as_zero() -> None:
    view = evidence.judgement(a_decision(), a_transaction(), NOW)
    assert view.features[0].value == "not known"


def test_that_scoring_failed_raises_no_risk_and_leaves_no_features_to_show() -> None:
    failed = {"code": "scoring_failed", "text": "No", "contribution": 0.0, "direction": "up", "features": []}
    unscored = a_decision(reasons=[failed], features_status=FeaturesStatus.ABSENT.value, score=None)
    view = evidence.judgement(unscored, a_transaction(), NOW)
    assert (view.up, view.features, view.missing) == ([], [], "")
    assert "left to a person" in view.degraded
    assert view.features_note


def test_a_decision_under_another_catalogue_does_not_lend_its_numbers_other_names() -> None:
    view = evidence.judgement(a_decision(catalogue_version=CATALOGUE_VERSION + 1), a_transaction(), NOW)
    assert view.waterfall is None
    assert view.features == []
    assert str(CATALOGUE_VERSION + 1) in view.features_note


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [("hundredths", 1250.0, "€12.50"), ("s", 90.0, "1 min 30 s"), ("payments", 1.0, "1 payment"), ("times", 2.0333, "2.03×"),
     ("flag", 1.0, "yes"), ("hour", 14.0, "14:00 UTC"), ("share", 0.0312, "3.1%"), ("deviations", -0.364, "−0.36 deviations"),
     ("weekday", 2.0, "Wednesday"), ("km", 1234.5, "1,230 km"), ("count", 3.0, "3"), ("code", 5812.0, "5812")],
)  # fmt: skip
def test_every_unit_of_the_catalogue_is_spelt_out(unit: str, value: float, expected: str) -> None:
    assert with_unit(value, unit, "EUR") == expected
    assert {feature.unit for feature in FEATURES} <= {
        "hundredths",
        "s",
        "payments",
        "times",
        "flag",
        "hour",
        "share",
        "deviations",
        "weekday",
        "count",
        "km",
        "km/h",
        "code",
    }


def an_event(action: Action, actor: tuple[str, str], at: datetime, detail: str = "{}") -> AuditEvent:
    row = AuditEvent(
        id=7, at=at, event_id=new_uuid(), actor_type=actor[0], actor_id=actor[1], action=action.value,
        subject_type="alert", subject_id=str(new_uuid()), result="done", detail=detail, written_at=at, leaf=b"",
    )  # fmt: skip
    row.leaf = recomputed_leaf(row)
    return row


def test_a_refusal_names_who_was_first_and_what_they_did() -> None:
    user = new_uuid()
    looked = an_event(Action.ALERT_VIEW, ("user", str(new_uuid())), NOW)
    claimed = an_event(Action.ALERT_CLAIM, ("user", str(user)), NOW - timedelta(seconds=42))
    words = desk_views.refusal(StaleVersion("this changed"), an_alert(), [looked, claimed], {user: "A colleague"}, NOW)
    assert words.startswith("This changed. A colleague claimed the alert 42 s ago.")


def test_an_altered_event_shows() -> None:
    row = an_event(Action.ALERT_CLOSE, ("user", str(new_uuid())), NOW, '{"label":"fraud"}')
    assert audit_views.audit_row(row, {}, NOW, {}).intact
    row.detail = '{"label":"legitimate"}'
    assert not audit_views.audit_row(row, {}, NOW, {}).intact


def test_sealing_that_is_behind_says_so() -> None:
    fresh = audit_views.sealing(None, None, Unsealed(0.4, 7), NOW)
    assert (fresh.behind, fresh.waiting) == ("", "Less than half a minute")
    late = audit_views.sealing(None, None, Unsealed(7200.0, 7), NOW)
    assert late.behind == "Sealing is behind: event 7 has waited 2 h. Does the job seal run?"
    assert audit_views.sealing(None, None, Unsealed(0.0, None), NOW).waiting == "Nothing waits"


def test_actors_who_are_no_users_have_names_too() -> None:
    assert audit_views.actor_name(ActorType.SYSTEM.value, "score", {}) == "Ronda (score)"
    assert audit_views.actor_name(ActorType.USER.value, "not-a-uuid", {}) == "not-a-uuid"
    assert audit_views.user_ids([("user", "not-a-uuid"), ("system", str(new_uuid()))]) == []


def a_model(stage: ModelStage, **metrics: Any) -> RegisteredModel:
    return RegisteredModel(
        id="0123456789ab", artifact_sha="x", artifact_size=1, stage=stage.value, catalogue_version=1, metrics=metrics,
        lineage={}, trained_at=NOW, requested_by="system:demo",
    )  # fmt: skip


def test_a_challenger_is_compared_on_its_own_window_only() -> None:
    champion = a_model(ModelStage.CHAMPION, average_precision=0.9)
    challenger = a_model(
        ModelStage.CANDIDATE, average_precision=0.6, champion={"average_precision": 0.5, "brier": 0.001}
    )
    rows = {row.title: row.cells for row in figure_rows([champion, challenger])}
    assert [cell.better for cell in rows["Average precision"]] == ["", "better than 0.500"]
    assert rows["Brier score"][1].value == "not known"


def test_a_difference_nobody_can_see_is_not_called_better() -> None:
    challenger = a_model(ModelStage.CANDIDATE, roc_auc=0.96701, champion={"roc_auc": 0.96699})
    [cell] = {row.title: row.cells for row in figure_rows([challenger])}["ROC AUC"]
    assert cell.better == ""


def test_search_reads_what_people_type() -> None:
    search = read_search({"q": " cus_1 ", "currency": "eur", "amount_from": "1,250.50", "since": "2026-01-31T09:30"})
    assert not search.problems
    assert search.given["q"] == "cus_1"
    assert search.wanted.amount_from_minor == 125050
    assert search.wanted.since == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"amount_from": "10"}, "currency"),
        ({"amount_from": "ten", "currency": "EUR"}, "amount_from"),
        ({"amount_to": "NaN", "currency": "EUR"}, "amount_to"),
        ({"amount_to": "Infinity", "currency": "EUR"}, "amount_to"),
        ({"amount_from": "10.123", "currency": "EUR"}, "amount_from"),
        ({"amount_from": "20", "amount_to": "10", "currency": "EUR"}, "amount_to"),
        ({"currency": "EURO"}, "currency"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-02-01T00:00", "until": "2026-01-01T00:00"}, "until"),
        ({"outcome": "maybe"}, "outcome"),
        ({"label": "perhaps"}, "label"),
    ],
)
def test_search_says_what_is_wrong_and_where(query: dict[str, str], field: str) -> None:
    search = read_search(query)
    assert search.problems.keys() == {field}
    assert search.problems[field].endswith(".")


def test_an_entity_of_the_address_becomes_the_filter() -> None:
    asked = read_search({"device": " dev_1", "customer": "cus_1"}).wanted.entities
    assert asked == {EntityKind.DEVICE: " dev_1", EntityKind.CUSTOMER: "cus_1"}


@pytest.mark.parametrize(
    ("language", "typed", "minor"),
    [
        (Language.EN, "1250.50", 125050),
        (Language.EN, "1,250.5", 125050),
        (Language.PT_BR, "1250.50", 125050),
        (Language.PT_BR, "1.250,50", 125050),
        (Language.PT_BR, "1.250", 125000),
    ],
)
def test_an_amount_is_read_as_its_reader_writes_it(language: Language, typed: str, minor: int) -> None:
    with speaking_to(Reader(language, "America/Sao_Paulo")):
        search = read_search({"currency": "EUR", "amount_from": typed, "since": "2026-01-31T09:30"})
    assert search.wanted.amount_from_minor == minor
    assert search.wanted.since == datetime(2026, 1, 31, 12, 30, tzinfo=UTC)


def test_a_place_survives_the_address_to_the_microsecond() -> None:
    when, uid = NOW + timedelta(microseconds=123456), new_uuid()
    place = read_place(place_text(when, uid))
    assert place is not None
    assert place == (when, uid)


@pytest.mark.parametrize("text", ["x", "20260101T000000.000000+0000_x", "_", "9" * 400])
def test_a_damaged_place_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_place(text)


def test_statuses_have_icons() -> None:
    """The row's template looks one up for each."""
    row = templates().get_template("_alert_row.html")
    for status in AlertStatus:
        assert status.value in row.render(row=alert_row(an_alert(status=status.value), {}, NOW))
