"""Payments as the ingest accepts them, some of which no scorer survives."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import text

from core.acts import outbox
from core.base.clock import to_ms, utc_now
from core.base.ids import new_uuid
from core.contracts.messages import Message, Payment, ScoreBatch
from core.contracts.topology import score_queue
from core.infra.resources import Resources
from core.stores import accepting
from core.stores.accepting import Arrival

POISON = "poison"


def payments(count: int, poisonous: Collection[int] = ()) -> list[Payment]:
    now = to_ms(utc_now())
    return [
        Payment(
            uid=new_uuid(),
            source_id="lane",
            transaction_id=str(new_uuid()),
            occurred_at_ms=now,
            accepted_at_ms=now,
            amount_minor=100 + number,
            currency="EUR",
            customer_id=f"cus_{number}",
            attributes={POISON: True} if number in poisonous else {},
        )
        for number in range(count)
    ]


async def accept(resources: Resources, batches: Sequence[Sequence[Payment]]) -> None:
    """One message for each batch, over the shards in turn."""
    source = "INSERT INTO source (id, name, created_at) VALUES ('lane', 'Lane', now()) ON CONFLICT DO NOTHING"
    shards = resources.settings.shards
    async with resources.postgres.unit_of_work() as work:
        await work.run(text(source))
        await accepting.insert_transactions(work, [Arrival(one, b"") for batch in batches for one in batch])
        messages: list[tuple[str, Message]] = [
            (score_queue(number % shards), ScoreBatch(shard=number % shards, payments=list(batch)))
            for number, batch in enumerate(batches)
        ]
        outgoing = await outbox.add(work, messages, timedelta(seconds=60))
    assert await outbox.publish_and_mark(resources.postgres, resources.bus, outgoing) == len(batches)
