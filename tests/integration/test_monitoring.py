"""The champion is looked at over real payments: posted, scored by a worker, labelled; first as ever, then with other amounts."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import numpy as np
import pytest
from sqlalchemy import text

from backend import synthetic
from backend.demo import load_history
from backend.synthetic import SyntheticHistory
from core.acts import people, registry
from core.acts.audit import Actor, system
from core.acts.labels import LabelInput, record_labels
from core.acts.registry import NewModel
from core.base.clock import from_ms, rfc3339, to_ms
from core.base.errors import NotFound
from core.base.ids import ModelId, SourceId, TransactionId
from core.base.money import to_major
from core.base.settings import Settings
from core.base.terms import ActorType, Label, LabelSource
from core.contracts.messages import Payment
from core.contracts.topology import LABELS
from core.infra.resources import Resources
from core.stores import flow, policy, watching
from core.tables.policy import ModelWatch, RegisteredModel, TrainingRun
from models.features.catalogue import CATALOGUE_VERSION
from models.features.offline import replay
from models.monitoring.sampling import stretches
from models.scoring.dataset import Dataset
from models.scoring.training import SearchOptions, TrainingOptions, train
from tests.integration.conftest import Api
from tests.jobs import running
from workers.history import read_history
from workers.monitor import ACTOR, due, watch_champion

DAYS, LEARNED, STEADY, MOVED = 80, 54, 74, 80
"""The model learns from the first days, decides as ever until the next mark, and other amounts from there on."""
PER_DAY = 300
UNTIL = datetime(2025, 3, 1, tzinfo=UTC)
"""Of long ago, as in a replay, and the same at every run: now is the newest moment in the data."""
DEMO = SourceId("demo")
FEED = system("test")


@dataclass(frozen=True)
class Story:
    """until_of: when a day of the story ends."""

    past: SyntheticHistory
    start: datetime
    client: httpx2.AsyncClient
    model: RegisteredModel

    def until_of(self, day: int) -> datetime:
        return self.start + timedelta(days=day)

    def payments(self, first: int, last: int) -> list[Payment]:
        start, end = to_ms(self.until_of(first)), to_ms(self.until_of(last))
        return [one for one in self.past.payments if start <= one.occurred_at_ms < end]


def body(payment: Payment, times: int) -> dict[str, Any]:
    optional = ("card_id", "merchant_id", "merchant_category", "merchant_country", "channel", "device_id", "ip", "billing_country",
                "latitude", "longitude")  # fmt: skip
    return {
        "id": payment.transaction_id,
        "occurred_at": rfc3339(from_ms(payment.occurred_at_ms)),
        "amount": str(to_major(payment.amount_minor * times, payment.currency)),
        "currency": payment.currency,
        "customer_id": payment.customer_id,
        **{name: value for name in optional if (value := getattr(payment, name)) is not None},
    }


async def champion(resources: Resources) -> RegisteredModel:
    """Trained on what is stored, with given options, and promoted whatever its gates say: they are not what is tested here."""
    async with resources.postgres.reading() as work:
        columns = await read_history(work)

    def made() -> NewModel:
        rows = Dataset.of(columns, replay(columns.history))
        options = TrainingOptions(search=SearchOptions(candidates=0), weeks=0)
        trained = train(rows, options, lambda _fraction, _step: None)
        return NewModel(trained.artifact, CATALOGUE_VERSION, trained.metrics | {"gates": []}, trained.lineage)

    new = await asyncio.to_thread(made)
    async with resources.postgres.unit_of_work() as work:
        model = await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by=str(FEED), by=FEED
        )
        by = Actor(ActorType.USER, "second")
        return await registry.promote(work, resources.redis, ModelId(model.id), by=by, four_eyes=True)


@pytest.fixture
async def story(api: Api, resources: Resources) -> Story:
    past = synthetic.history(days=DAYS, per_day=PER_DAY, until=UNTIL)
    start = UNTIL - timedelta(days=DAYS)
    learned = start + timedelta(days=LEARNED)
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, DEMO, "Synthetic", FEED)
        key = await people.add_key(work, DEMO, FEED)
    first = replace(
        past,
        payments=[one for one in past.payments if one.occurred_at_ms < to_ms(learned)],
        labels=[one for one in past.labels if one.reported_at < learned],
    )
    await load_history(resources, first, lambda _fraction, _words: None)
    api.client.headers["Authorization"] = f"Bearer {key}"
    return Story(past, start, api.client, await champion(resources))


async def live_through(story: Story, resources: Resources, first: int, last: int, *, times: int = 1) -> None:
    """Post the payments of these days and record the labels that came in them, two days at a time."""
    async with running(resources, "score", "relay", "feedback"):
        for day in range(first, last, 2):
            await post(story, resources, story.payments(day, day + 2), times)
            await say(story, resources, story.until_of(day), story.until_of(day + 2))


async def post(story: Story, resources: Resources, payments: Sequence[Payment], times: int) -> None:
    """Until all of them are decided."""
    for start in range(0, len(payments), 500):
        bodies = [body(one, times) for one in payments[start : start + 500]]
        answer = await story.client.post("/v1/transactions/batch", json=bodies)
        assert answer.status_code == 200
    async with asyncio.timeout(120):
        while await undecided(resources):
            await asyncio.sleep(0.2)


async def say(story: Story, resources: Resources, since: datetime, until: datetime) -> None:
    """Until the feature store has heard of the labels."""
    labels = [
        LabelInput(one.transaction_id, one.label, LabelSource.CHARGEBACK, one.reported_at)
        for one in story.past.labels
        if since <= one.reported_at < until
    ]
    async with resources.postgres.unit_of_work() as work:
        assert {one.status for one in await record_labels(work, DEMO, labels, by=FEED)} <= {"recorded"}
    async with asyncio.timeout(60):
        while await waiting(resources):
            await asyncio.sleep(0.2)


async def waiting(resources: Resources) -> int:
    async with resources.postgres.reading() as work:
        unsent = (await flow.outbox_state(work)).unsent
    return unsent + await resources.bus.depth(LABELS)


async def undecided(resources: Resources) -> int:
    async with resources.postgres.reading() as work:
        query = text(
            "SELECT count(*) FROM transaction t WHERE NOT imported AND NOT EXISTS (SELECT FROM decision d WHERE d.transaction_uid = t.uid)"
        )
        return int((await work.run(query)).scalar_one())


async def analysts_say(resources: Resources, wanted: Sequence[Label]) -> None:
    """About the oldest alerts that a chargeback has called fraud."""
    async with resources.postgres.unit_of_work() as work:
        query = text(
            "SELECT t.transaction_id, t.occurred_at FROM alert a JOIN transaction t ON t.uid = a.transaction_uid "
            "JOIN label l ON l.transaction_uid = t.uid AND l.label = 'fraud' ORDER BY t.occurred_at LIMIT :most"
        )
        rows = (await work.run(query, {"most": len(wanted)})).all()
        said = [
            LabelInput(TransactionId(row[0]), label, LabelSource.ANALYST, row[1] + timedelta(hours=1))
            for row, label in zip(rows, wanted, strict=True)
        ]
        await record_labels(work, DEMO, said, by=FEED)


async def audited(resources: Resources, action: str) -> list[dict[str, Any]]:
    async with resources.postgres.reading() as work:
        query = text("SELECT detail FROM audit_event WHERE action = :action ORDER BY id")
        return [json.loads(row[0]) for row in await work.run(query, {"action": action})]


def codes(watch: ModelWatch) -> set[str]:
    return {reason["code"] for reason in watch.proposal["reasons"]} if watch.proposal else set()


async def test_without_a_champion_there_is_nothing_to_look_at(resources: Resources) -> None:
    assert not await due(resources, timedelta(minutes=1))
    with pytest.raises(NotFound, match="no champion"):
        await watch_champion(resources, by=FEED)


@pytest.mark.timeout(600)
async def test_payments_as_ever_propose_nothing_and_other_amounts_do(
    story: Story, resources: Resources, settings: Settings
) -> None:
    await live_through(story, resources, LEARNED, STEADY)
    await analysts_say(resources, [Label.FRAUD, Label.FRAUD, Label.FRAUD, Label.LEGITIMATE])
    steady = await looked_at_by_the_job(story, resources)
    assert_measured(story, steady)
    assert steady.proposal is None
    assert await audited(resources, "model.train_propose") == []

    await live_through(story, resources, STEADY, MOVED, times=6)
    moved = await watch_champion(resources, by=ACTOR)
    assert "score_drift" in codes(moved)
    assert moved.proposal
    assert (moved.proposal["training"], moved.proposal["held_back"]) == (None, None)
    assert moved.figures["score"]["since"] <= f"{story.until_of(STEADY + 2):%Y-%m-%d}"
    assert any(one["feature"] == "amount" and one["moved"] for one in moved.figures["drift"])
    [told] = await audited(resources, "model.train_propose")
    assert {reason["code"] for reason in told["reasons"]} == codes(moved)

    await the_command_says_the_same(settings, moved)
    assert len(await audited(resources, "model.train_propose")) == 1
    await the_setting_asks_for_a_training_once(resources, settings)


async def looked_at_by_the_job(story: Story, resources: Resources) -> ModelWatch:
    """The first look comes by itself, and the next one not before its time nor without news."""
    async with running(resources, "monitor"), asyncio.timeout(120):
        while True:
            async with resources.postgres.reading() as work:
                watch = await policy.latest_watch(work, ModelId(story.model.id))
            if watch:
                break
            await asyncio.sleep(0.2)
    assert not await due(resources, timedelta(hours=1))
    assert not await due(resources, timedelta(0))
    return watch


def assert_measured(story: Story, watch: ModelWatch) -> None:
    figures = watch.figures
    assert watch.window_from
    assert watch.window_until
    assert watch.window_until - watch.window_from == timedelta(days=7)
    assert figures["payments"] == pytest.approx(len(story.payments(STEADY - 7, STEADY)), abs=50)
    assert sum(one["moved"] for one in figures["drift"]) <= 2
    labels, performance = figures["labels"], figures["performance"]
    assert labels["measured"]
    assert 8 <= labels["old_enough_days"] <= 18
    assert performance["training"]["average_precision"] == story.model.metrics["average_precision"]
    weeks = [week for week in performance["weeks"] if week["frauds"]]
    assert sum(week["frauds"] for week in weeks) > 10
    days = STEADY - LEARNED - labels["old_enough_days"]
    assert performance["recent"]["payments"] == pytest.approx(len(story.payments(LEARNED, LEARNED + days)), rel=0.1)
    precision = figures["precision"]
    assert precision["all"]["labelled"] >= precision["all"]["frauds"] > 3
    assert sum(one["alerts"] for one in precision["by_reason"]) == precision["all"]["alerts"]
    fraud, legitimate = precision["agreement"]["said"]
    assert (fraud["payments"], fraud["confirmed"]) == (3, 3)
    assert (legitimate["payments"], legitimate["confirmed"]) == (1, 0)


async def the_command_says_the_same(settings: Settings, watch: ModelWatch) -> None:
    environment = os.environ | {
        "RONDA_DATABASE_URL": settings.database_url.get_secret_value(),
        "RONDA_REDIS_URL": settings.redis_url.get_secret_value(),
        "RONDA_BUS_URL": settings.bus_url.get_secret_value(),
        "RONDA_DATA_DIR": str(settings.data_dir),
    }

    async def said(*options: str) -> str:
        command = (sys.executable, "-m", "backend", "monitor", *options)
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()

    told = json.loads(await said("--json"))
    assert told["model"] == watch.model_id
    assert told["figures"]["score"] == watch.figures["score"]
    assert told["proposal"]["reasons"] == (watch.proposal or {})["reasons"]
    table = await said()
    assert "a training is proposed:" in table
    assert "moved since" in table


async def the_setting_asks_for_a_training_once(resources: Resources, settings: Settings) -> None:
    asking = replace(resources, settings=settings.model_copy(update={"retrain_on_drift": True}))
    asked = (await watch_champion(asking, by=ACTOR)).proposal
    assert asked
    async with resources.postgres.reading() as work:
        run = await policy.unfinished_run(work)
    assert run
    assert (asked["training"], run.requested_by) == (str(run.id), str(ACTOR))
    evidence = (await audited(resources, "model.train_request"))[-1]
    assert {reason["code"] for reason in evidence["reasons"]} >= {"score_drift"}
    again = (await watch_champion(asking, by=ACTOR)).proposal
    assert again
    assert again["training"] is None
    assert "under way" in again["held_back"]
    await end(resources, run)
    later = (await watch_champion(asking, by=ACTOR)).proposal
    assert later
    assert "less than 7 days ago" in later["held_back"]


async def end(resources: Resources, run: TrainingRun) -> None:
    async with resources.postgres.unit_of_work() as work:
        await work.run(text("UPDATE training_run SET status = 'failed' WHERE id = :id"), {"id": run.id})


async def test_a_sample_by_stretches_holds_each_payment_once(resources: Resources) -> None:
    """Over the payments of the story: whole stretches cover everything, a tenth of the time about a tenth of it."""
    async with resources.postgres.reading() as work:
        newest = await watching.newest_moment(work)
        assert newest
        start, end = to_ms(newest) - 30 * 86_400_000, to_ms(newest) + 1
        counts = {}
        for share in (1.0, 0.1):
            chosen = stretches(start, end, share)
            bounds = [(from_ms(int(a)), from_ms(int(b))) for a, b in zip(chosen.start_ms, chosen.end_ms, strict=True)]
            counts[share] = await watching.count_decided(work, bounds)
            rows = [row async for batch in watching.walk_vectors(work, bounds, CATALOGUE_VERSION) for row in batch]
            assert len(rows) == counts[share]
        query = text(
            "SELECT count(*) FROM decision d JOIN transaction t ON t.uid = d.transaction_uid WHERE t.occurred_at >= :start"
        )
        assert counts[1.0] == (await work.run(query, {"start": from_ms(start)})).scalar_one() > 1_000
        assert counts[0.1] == pytest.approx(0.1 * counts[1.0], abs=5 * np.sqrt(0.1 * counts[1.0]))
