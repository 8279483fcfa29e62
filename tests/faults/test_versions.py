"""Two versions side by side, as in a deployment: yesterday's messages, tomorrow's, and tomorrow's schema meet today's workers."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from sqlmodel import SQLModel

from backend.migrations import migrate, schema_state
from core.acts.audit import system
from core.base.ids import new_uuid
from core.contracts.messages import LabelledPayment, LabelsRecorded, Payment, ScoreBatch, decode, encode
from core.contracts.topology import LABELS, score_queue
from core.infra.bus import Outgoing
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from core.stores import accepting, dead_letters, flow
from core.stores.accepting import Arrival
from models.features.online import OnlineFeatures
from tests import servers
from tests.faults.conftest import Note
from tests.faults.payments_at_work import Stream, at_work, ledger, settled
from tests.faults.recorded import RECORDED, Recorded
from workers.seal import connect_sealer, seal_all

TEST = system("test")
EVERY = [pytest.param(each, id=each.name.replace(" ", "-")) for each in RECORDED]


def plain(body: bytes) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.msgpack.decode(body))


def holds(new: Any, old: Any) -> bool:
    """Whether everything that is in `old` is in `new`, under the same name and with the same value."""
    if isinstance(old, dict):
        return all(name in new and holds(new[name], value) for name, value in old.items())
    if isinstance(old, list):
        return len(new) == len(old) and all(map(holds, new, old))
    return bool(new == old)


def later(body: bytes) -> bytes:
    """As a version will say it that knows more: a greater number, and fields nobody has heard of, in the message and in what it carries."""
    message = plain(body)
    carried = "payments" if "payments" in message else "labels"
    message |= {"v": 2, "sent_by": "web-3", "hints": {"urgent": True}}
    message[carried] = [{**item, "weight": 0.5, "tags": ["x", None]} for item in message[carried]]
    return msgspec.msgpack.encode(message)


@pytest.mark.parametrize("recorded", EVERY)
def test_what_an_older_version_reads_is_still_said(recorded: Recorded) -> None:
    """Its workers get today's messages, too."""
    for body in (recorded.score_batch, recorded.labels_recorded):
        assert holds(plain(encode(decode(body))), plain(body))
    said = {*plain(recorded.score_batch), *plain(recorded.labels_recorded)["labels"][0]}
    assert said.isdisjoint(recorded.lacks), "these bytes are not so old"
    assert decode(later(recorded.score_batch)) == msgspec.structs.replace(
        cast(ScoreBatch, decode(recorded.score_batch)), v=2
    )


async def until_decided(resources: Resources, payments: Sequence[Payment]) -> dict[UUID, Any]:
    async with asyncio.timeout(30):
        while True:
            async with resources.postgres.reading() as work:
                found = await flow.latest_decisions(work, [payment.uid for payment in payments])
            if len(found) == len(payments):
                return found
            await asyncio.sleep(0.05)


async def until_taken(resources: Resources, labels: Sequence[LabelledPayment]) -> None:
    async with asyncio.timeout(30):
        while True:
            asked = await OnlineFeatures(resources.redis).ask([], payments=[], labels=labels)
            if all(asked.labels):
                return
            await asyncio.sleep(0.05)


def renamed(body: bytes, suffix: str) -> bytes:
    """Other payments of other entities, in the same words."""
    message = plain(body)
    for payment in message["payments"]:
        payment["uid"] = str(new_uuid())
        for name in ("transaction_id", "customer_id"):
            payment[name] += suffix
    return msgspec.msgpack.encode(message)


@pytest.mark.timeout(120)
async def test_messages_of_other_versions_are_handled(resources: Resources, note: Note) -> None:
    scores = [each.score_batch for each in RECORDED]  # these ids come before new ones, as the messages do
    scores += [later(renamed(each.score_batch, "-later")) for each in RECORDED]
    labels = [body for each in RECORDED for body in (each.labels_recorded, later(each.labels_recorded))]
    of_tomorrow = msgspec.msgpack.encode({"type": "score_stream", "v": 3, "shard": 0})
    payments = [payment for body in scores for payment in cast(ScoreBatch, decode(body)).payments]
    async with at_work(resources, "score", "relay", "rescore", "feedback", "bury") as ingest:
        await Stream(ingest, seed=1).send(1, 1.0)
        await settled(resources, 30)  # features are in use: what comes now was not taken by a rebuild
        async with resources.postgres.unit_of_work() as work:
            await accepting.insert_transactions(work, [Arrival(payment, b"") for payment in payments])
        await resources.bus.publish([Outgoing(score_queue(0), str(new_uuid()), of_tomorrow)])
        await resources.bus.publish([Outgoing(score_queue(0), str(new_uuid()), body) for body in scores])
        decided = await until_decided(resources, payments)
        found = await ledger(resources)
        await resources.bus.publish([Outgoing(LABELS, str(new_uuid()), body) for body in labels])
        await until_taken(resources, [label for body in labels for label in cast(LabelsRecorded, decode(body)).labels])
        async with asyncio.timeout(30), resources.postgres.reading() as work:
            [unread] = await dead_letters.page(work, state=None, reason="", after=None, limit=10)
    note(f"dead 1, {found.words()}")
    assert {decision.features_status for decision in decided.values()} == {"complete"}
    assert (found.accepted, found.decided, found.differing) == (1 + len(payments), 1 + len(payments), 0)
    assert (bytes(unread.body), unread.queue, unread.state) == (of_tomorrow, score_queue(0), "waiting")
    assert unread.reason.startswith("undecodable")


async def migrate_further(url: str) -> None:
    """What an additive migration of a later version does: a column for every table, and tables of its own."""
    tables = [table.name for table in SQLModel.metadata.sorted_tables]
    await servers.run_sql(
        url,
        *(f"ALTER TABLE \"{name}\" ADD COLUMN of_a_later_version text NOT NULL DEFAULT 'x'" for name in tables),
        "CREATE TABLE of_a_later_version (id bigint PRIMARY KEY)",
        "UPDATE alembic_version SET version_num = '9999_of_a_later_version'",
    )


@pytest.mark.timeout(120)
async def test_todays_code_works_on_tomorrows_schema(resources: Resources, note: Note) -> None:
    url = resources.settings.database_url.get_secret_value()
    async with at_work(resources, "score", "relay", "rescore", "feedback") as ingest:
        stream = Stream(ingest, seed=5)
        await stream.send(20, 100.0)
        await migrate_further(url)
        schema = await asyncio.to_thread(migrate, url)
        assert (schema.later, schema.current) == (True, False)
        assert await schema_state(url) == schema
        await stream.send(40, 100.0)
        await settled(resources, 30)
        found = await ledger(resources)
    sealer = connect_sealer(resources.settings)
    try:
        assert await seal_all(sealer, keys_of(resources.settings, CHECKPOINTS))
    finally:
        await sealer.close()
    note(found.words())
    assert found.accepted == found.decided == stream.sent
    assert (found.differing, found.vectors) == (0, stream.sent)
