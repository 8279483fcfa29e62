"""One act on many alerts: counted first, done one by one, undone together."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from core.acts import bulk, casework
from core.acts.bulk import Chosen, Doer
from core.acts.verdicts import Ruling
from core.base.errors import InvalidInput, NotAllowedNow, NotFound
from core.base.ids import UserId, new_uuid
from core.base.terms import Action, DispositionReason, Label, Role
from core.infra.resources import Resources
from core.stores import casework as store
from core.stores import ledger
from core.stores.ledger import AuditFilter
from core.tables.people import User
from tests.integration.conftest import Api
from tests.integration.console_browser import Browser, a_user, an_alert, browser
from tests.integration.test_casework import actor, claim

RULING = Ruling(Label.FRAUD, DispositionReason.CARD_TESTING, "a wave of small payments")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def analyst(resources: Resources) -> User:
    return await a_user(resources, Role.ANALYST)


@pytest.fixture
async def tab(api: Api, analyst: User) -> AsyncIterator[Browser]:
    async with browser(api) as found:
        await found.sign_in(analyst)
        yield found


def doer(resources: Resources, user: User) -> Doer:
    return Doer(resources.postgres, resources.redis, UserId(user.id), actor(UserId(user.id)))


async def send(tab: Browser, path: str, alerts: list[str], **fields: str) -> httpx2.Response:
    return await tab.client.post(path, data={"csrf_token": tab.csrf, "alert": alerts, **fields})


async def test_a_refusal_among_many_leaves_the_others_done(resources: Resources, analyst: User) -> None:
    other = UserId((await a_user(resources, Role.ANALYST)).id)
    made = [await an_alert(resources) for _ in range(54)]
    held, stale, gone = made[0], made[1], new_uuid()
    await claim(resources, held, other)
    chosen = [Chosen(ident, 7 if ident == stale else None) for ident in made]
    batch, outcomes = await bulk.decide_all(doer(resources, analyst), [*chosen, Chosen(gone)], RULING, window=MINUTE)
    problems = {outcome.alert_id: type(outcome.problem) for outcome in outcomes if outcome.problem}
    assert problems.keys() == {held, stale, gone}
    assert problems[held] is NotAllowedNow
    assert problems[gone] is NotFound
    async with resources.postgres.reading() as work:
        alerts = {alert.id: alert for alert in await store.alerts_by_id(work, made)}
        trail = await ledger.page(
            work, AuditFilter(action=Action.ALERT_CLOSE, actor_id=str(analyst.id)), before_id=None, limit=100
        )
        notes = await store.notes(work, made[2])
    assert {ident for ident, alert in alerts.items() if alert.status == "closed"} == set(made[2:])
    assert {event.subject_id for event in trail} == {str(ident) for ident in made[2:]}
    assert len(trail) == 52
    assert [note.body for note in notes] == ["a wave of small payments"]

    back = await bulk.undo_all(doer(resources, analyst), batch, lease=MINUTE)
    assert [outcome.problem for outcome in back] == [None] * 52
    async with resources.postgres.reading() as work:
        alerts = {alert.id: alert for alert in await store.alerts_by_id(work, made[2:])}
        labelled = await store.labels_by_transaction(work, [alert.transaction_uid for alert in alerts.values()])
    assert {(alert.status, alert.claimed_by) for alert in alerts.values()} == {("claimed", analyst.id)}
    assert not labelled
    again = await bulk.undo_all(doer(resources, analyst), batch, lease=MINUTE)
    assert all(outcome.problem for outcome in again)


async def test_two_bulks_over_the_same_alerts_do_each_once_and_wait_for_no_one_for_ever(resources: Resources) -> None:
    made = [await an_alert(resources) for _ in range(60)]
    people = [await a_user(resources, Role.ANALYST) for _ in range(4)]
    orders = [made, made[::-1], made[30:] + made[:30], made[::2] + made[1::2]]
    answers = await asyncio.gather(
        *(
            bulk.decide_all(doer(resources, person), [Chosen(ident) for ident in order], RULING, window=MINUTE)
            for person, order in zip(people, orders, strict=True)
        )
    )
    done = [outcome.alert_id for _, outcomes in answers for outcome in outcomes if not outcome.problem]
    assert len(done) == len(set(done)) == 60


async def test_only_the_one_who_decided_undoes_a_bulk(resources: Resources, analyst: User) -> None:
    ident, other = await an_alert(resources), await a_user(resources, Role.ANALYST)
    batch, _ = await bulk.decide_all(doer(resources, analyst), [Chosen(ident)], RULING, window=MINUTE)
    [outcome] = await bulk.undo_all(doer(resources, other), batch, lease=MINUTE)
    assert isinstance(outcome.problem, NotAllowedNow)
    with pytest.raises(NotFound):
        await bulk.undo_all(doer(resources, analyst), new_uuid(), lease=MINUTE)


async def test_an_act_takes_so_many_and_no_more(resources: Resources, analyst: User) -> None:
    for number in (0, bulk.MOST + 1):
        with pytest.raises(InvalidInput):
            await bulk.release_all(doer(resources, analyst), [Chosen(new_uuid()) for _ in range(number)])


async def test_the_preview_counts_and_the_act_reports_each(tab: Browser, resources: Resources, analyst: User) -> None:
    other = UserId((await a_user(resources, Role.ANALYST)).id)
    euros = [str(await an_alert(resources, amount_minor=10_050)) for _ in range(2)]
    yen = str(await an_alert(resources, amount_minor=900, currency="JPY"))
    held = await an_alert(resources)
    await claim(resources, held, other)
    preview = await send(tab, "/queue/bulk/preview", [*euros, yen, str(held)], act="decide")
    assert preview.status_code == 200
    page = re.sub(r"\s+", " ", preview.text)
    for words in ("Close 3 alerts", "€201.00", "¥900", "A colleague has claimed this alert."):
        assert words in page
    chosen = re.findall(r'name="alert" value="([^"]+)"', page)
    assert {text.partition(":")[0] for text in chosen} == {*euros, yen}

    without = await send(tab, "/queue/bulk", chosen, act="decide", label="fraud", note="my words")
    assert without.status_code == 422
    assert "Choose a label and the reason for it." in without.text
    assert "my words" in without.text
    async with resources.postgres.unit_of_work() as work:  # somebody was faster after the preview
        await casework.claim(
            work, resources.redis, UUID(yen), UserId(analyst.id), lease=MINUTE, by=actor(UserId(analyst.id))
        )
    fields = {"act": "decide", "label": "legitimate", "reason": "test_payment"}
    done = await send(tab, "/queue/bulk", chosen, **fields)
    assert "2 alerts were closed." in done.text
    assert "This alert changed while you were looking at it." in done.text
    undo = re.search(r'action="(/queue/bulk/[0-9a-f-]+/undo)"', done.text)
    assert undo
    back = await tab.post(undo[1])
    assert "2 decisions were taken back; the alerts are yours." in back.text
    released = await send(tab, "/queue/bulk", euros, act="release")
    assert "2 alerts were released." in released.text


async def test_everything_that_a_view_shows_can_be_chosen(
    tab: Browser, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = f"cus_{new_uuid().hex}"
    made = {str(await an_alert(resources, customer_id=customer)) for _ in range(3)}
    view = f"customer={customer}"
    preview = await send(tab, "/queue/bulk/preview", [], act="claim", matching="1", view=view)
    chosen = re.findall(r'name="alert" value="([^"]+)"', preview.text)
    assert {text.partition(":")[0] for text in chosen} == made
    assert f'href="/queue?{view}"' in preview.text
    assert "there are more" not in preview.text
    monkeypatch.setattr("console.pages.bulk.MOST", 2)
    cut = await send(tab, "/queue/bulk/preview", [], act="claim", matching="1", view=view)
    assert "Only the first 2 of the view are taken at once; there are more." in cut.text
    assert len(re.findall(r'name="alert" value="([^"]+)"', cut.text)) == 2
    done = await send(tab, "/queue/bulk", chosen, act="claim", view=view)
    assert "3 alerts are yours now." in done.text
    assert (await send(tab, "/queue/bulk/preview", [], act="claim", matching="1", view="order=burn")).status_code == 422


@pytest.mark.parametrize(
    ("alerts", "act"), [([], "claim"), (["not-an-id"], "claim"), (["00000000-0000-7000-8000-000000000001:x"], "claim"), (None, "burn")]
)  # fmt: skip
async def test_a_damaged_bulk_is_refused_readably(
    tab: Browser, resources: Resources, alerts: list[str] | None, act: str
) -> None:
    chosen = [str(await an_alert(resources))] if alerts is None else alerts
    for path in ("/queue/bulk/preview", "/queue/bulk"):
        answer = await send(tab, path, chosen, act=act)
        assert answer.status_code == 422
        assert "<html" in answer.text
