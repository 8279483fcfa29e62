"""What every bus promises. Each test runs on RabbitMQ and on Redis Streams."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import psutil
import pytest
import redis.asyncio as redis
from pydantic import SecretStr

from core.base.errors import PublishFailed, Unavailable
from core.base.settings import Settings
from core.contracts.topology import DEAD, Queue
from core.infra.bus import Bus, Consumer, Delivery, Outgoing
from core.infra.resources import make_bus
from tests.servers import Proxy, Server, lose_everything

PATIENCE_S = 30.0
"""How long a test waits for what must happen before it fails; generous, since only failing tests spend it."""

MakeQueue = Callable[..., str]


@pytest.fixture
async def queue(bus: Bus) -> str:
    """A queue of the test's own; DEAD exists and is empty."""
    name = await declared(bus)
    await bus.declare([Queue(DEAD)])
    await drain(bus, DEAD)
    return name


@pytest.fixture
async def ordered(bus: Bus, queue: str) -> str:
    """A single-active queue."""
    return await declared(bus, single_active=True)


async def declared(bus: Bus, *, single_active: bool = False, delivery_limit: int = 5) -> str:
    name = f"test.{uuid4().hex[:8]}"
    await bus.declare([Queue(name, single_active, delivery_limit)])
    return name


@asynccontextmanager
async def consuming(bus: Bus, *queues: str, prefetch: int = 100) -> AsyncIterator[Consumer]:
    consumer = await bus.consumer(queues, prefetch)
    try:
        yield consumer
    finally:
        await consumer.close()


def another(url: str, publish_timeout_s: float = 5.0) -> Bus:
    """A second process, as far as the server can tell."""
    return make_bus(Settings(bus_url=SecretStr(url), publish_timeout_s=publish_timeout_s))


def outgoing(queue: str, *names: object) -> list[Outgoing]:
    return [Outgoing(queue, f"id-{name}", f"body-{name}".encode()) for name in names]


async def collect(consumer: Consumer, count: int, most: int = 100) -> list[Delivery]:
    """Exactly `count` deliveries, over as many takes as it needs."""
    found: list[Delivery] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            found += await consumer.take(min(most, count - len(found)), wait_s=0.5)
    return found


async def drain(bus: Bus, queue: str) -> list[Delivery]:
    """Acks everything that is waiting."""
    found: list[Delivery] = []
    async with consuming(bus, queue) as consumer:
        while deliveries := await consumer.take(100, wait_s=0.3):
            for delivery in deliveries:
                await delivery.ack()
            found += deliveries
    return found


async def until_empty(bus: Bus, queue: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await bus.depth(queue):
            await asyncio.sleep(0.05)


async def published(bus: Bus, messages: Sequence[Outgoing]) -> None:
    """Publishes as the relay does: again and again until confirmed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await bus.publish(messages)
            except PublishFailed:
                await asyncio.sleep(0.1)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.message_id for delivery in deliveries]


async def test_delivers_what_was_published(bus: Bus, queue: str) -> None:
    body = bytes(range(256)) * 10
    await bus.publish([Outgoing(queue, "id-é", body), Outgoing(queue, "empty", b"")])
    async with consuming(bus, queue) as consumer:
        first, second = await collect(consumer, 2)
        assert (first.queue, first.message_id, first.body, first.redeliveries) == (queue, "id-é", body, 0)
        assert (second.message_id, second.body) == ("empty", b"")


async def test_declaring_again_changes_nothing_and_other_arguments_are_refused(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, 1))
    await bus.declare([Queue(queue)])
    assert await bus.depth(queue) == 1
    with pytest.raises(Unavailable, match=queue):
        await bus.declare([Queue(queue, delivery_limit=9)])
    with pytest.raises(Unavailable, match=queue):
        await bus.declare([Queue(queue, single_active=True)])


async def test_publishing_to_a_missing_queue_names_the_messages(bus: Bus, queue: str) -> None:
    missing = f"test.missing.{uuid4().hex[:8]}"
    with pytest.raises(PublishFailed) as caught:
        await bus.publish([*outgoing(queue, 1), *outgoing(missing, 2, 3), *outgoing(queue, 4)])
    assert set(caught.value.facts["unconfirmed"]) == {"id-2", "id-3"}
    assert await bus.depth(queue) == 2


async def test_the_same_id_sent_twice_at_once_is_confirmed_or_refused_on_its_own(bus: Bus, queue: str) -> None:
    missing = f"test.missing.{uuid4().hex[:8]}"
    answers = await asyncio.gather(
        *(bus.publish([Outgoing(target, "same", b"x")]) for target in (missing, queue, missing, queue)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [PublishFailed, type(None), PublishFailed, type(None)]


async def test_the_depth_of_a_missing_queue_is_an_error(bus: Bus, queue: str) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        await bus.depth("test.missing")
    assert await bus.depth(queue) == 0


async def test_ack_removes(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, 1, 2))
    async with consuming(bus, queue) as consumer:
        for delivery in await collect(consumer, 2):
            await delivery.ack()
    assert await bus.depth(queue) == 0
    assert await drain(bus, queue) == []


async def test_takes_many_at_once_but_never_more_than_asked(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, *range(250)))
    async with consuming(bus, queue, prefetch=250) as consumer:
        sizes: list[int] = []
        while sum(sizes) < 250:
            deliveries = await consumer.take(100, wait_s=5)
            assert 0 < len(deliveries) <= 100
            sizes.append(len(deliveries))
        assert len(sizes) <= 25, f"250 waiting messages took {sizes}"


async def test_prefetch_bounds_what_a_consumer_holds(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, *range(20)))
    async with consuming(bus, queue, prefetch=5) as consumer:
        held = await collect(consumer, 5)
        assert await consumer.take(100, wait_s=0.5) == []
        for delivery in held:
            await delivery.ack()
        assert len(await collect(consumer, 5)) == 5


async def test_take_waits_for_the_first_message_and_no_longer(bus: Bus, queue: str) -> None:
    async with consuming(bus, queue) as consumer:
        assert await consumer.take(10, wait_s=0.1) == []
        waiting = asyncio.create_task(consumer.take(10, wait_s=PATIENCE_S))
        await asyncio.sleep(0.2)
        await bus.publish(outgoing(queue, 1))
        async with asyncio.timeout(PATIENCE_S / 2):
            assert ids(await waiting) == ["id-1"]


async def test_one_consumer_takes_from_several_queues(bus: Bus, queue: str, ordered: str) -> None:
    await bus.publish([*outgoing(queue, 1), *outgoing(ordered, 2)])
    async with consuming(bus, queue, ordered) as consumer:
        found = await collect(consumer, 2)
        assert {(delivery.queue, delivery.message_id) for delivery in found} == {(queue, "id-1"), (ordered, "id-2")}


async def test_a_full_queue_does_not_starve_another(bus: Bus, queue: str, ordered: str) -> None:
    await bus.publish(outgoing(queue, *range(40)))
    await bus.publish(outgoing(ordered, *range(40)))
    seen: list[str] = []
    async with consuming(bus, queue, ordered, prefetch=10) as consumer:
        while len(seen) < 32:
            for delivery in await collect(consumer, 8, most=8):
                seen.append(delivery.queue)
                await delivery.ack()
    assert set(seen) == {queue, ordered}


async def test_unacked_comes_back_when_the_consumer_closes(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, 1, 2))
    async with consuming(bus, queue) as first:
        deliveries = await collect(first, 2)
        await deliveries[0].ack()
    async with consuming(bus, queue) as second:
        (back,) = await collect(second, 1)
        assert (back.message_id, back.body) == ("id-2", b"body-2")
        assert back.redeliveries >= 1


async def test_unacked_comes_back_when_the_consumer_dies(bus: Bus, bus_server: Server, queue: str) -> None:
    await bus.publish(outgoing(queue, 1))
    async with Proxy(bus_server.url) as wire, another(wire.url) as dying, consuming(dying, queue) as first:
        (held,) = await collect(first, 1)
        assert held.redeliveries == 0
        wire.cut()
        async with consuming(bus, queue) as second:
            (back,) = await collect(second, 1)
            assert back.message_id == "id-1"
            assert back.redeliveries >= 1
            await back.ack()
            await held.ack()  # too late: no error, and nothing else is removed
    await until_empty(bus, queue)


async def test_what_was_handed_out_but_never_arrived_comes_back(bus: Bus, bus_server: Server, queue: str) -> None:
    """The server counts the message as delivered to a consumer that lives on and never saw it."""
    async with Proxy(bus_server.url) as wire, another(wire.url) as far, consuming(far, queue) as consumer:
        assert await consumer.take(1, wait_s=0.1) == []
        wire.swallow_answers()
        await bus.publish(outgoing(queue, 1))
        async with asyncio.timeout(PATIENCE_S):
            assert await consumer.take(1, wait_s=0.5) == []
        wire.heal()
        (late,) = await collect(consumer, 1)
        assert late.message_id == "id-1"
        await late.ack()
        await until_empty(bus, queue)


async def test_released_comes_back(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, 1))
    async with consuming(bus, queue) as consumer:
        (first,) = await collect(consumer, 1)
        await first.release()
        (second,) = await collect(consumer, 1)
        assert (second.message_id, second.redeliveries) == ("id-1", 1)
        await second.ack()


async def test_rejected_is_dead_with_reason_and_origin(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, 1, 2))
    async with consuming(bus, queue) as consumer:
        first, second = await collect(consumer, 2)
        await first.reject("the body is not a payment: ü" + 2000 * "!")
        await second.ack()
    assert await bus.depth(queue) == 0
    async with consuming(bus, DEAD) as undertaker:
        (dead,) = await collect(undertaker, 1)
        origin, reason = await bus.dead_reason(dead)
        assert (dead.message_id, dead.body, origin) == ("id-1", b"body-1", queue)
        assert reason.startswith("the body is not a payment: ü!")
        await dead.ack()


async def test_a_moved_delivery_is_only_in_the_other_queue(bus: Bus, queue: str) -> None:
    other = await declared(bus)
    await bus.publish(outgoing(queue, 1, 2))
    async with consuming(bus, queue) as consumer:
        first, second = await collect(consumer, 2)
        await first.move(other)
        await second.ack()
    assert await bus.depth(queue) == 0
    (moved,) = await drain(bus, other)
    assert (moved.message_id, moved.body, moved.redeliveries) == ("id-1", b"body-1", 0)


async def test_what_cannot_be_moved_stays(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(queue, 1))
    async with consuming(bus, queue) as consumer:
        (delivery,) = await collect(consumer, 1)
        with pytest.raises(PublishFailed):
            await delivery.move(f"test.missing.{uuid4().hex[:8]}")
        await delivery.release()
        (back,) = await collect(consumer, 1)
        assert back.message_id == "id-1"
        await back.ack()
    await until_empty(bus, queue)


async def test_a_delivery_is_settled_once(bus: Bus, queue: str) -> None:
    """A batch that fails late is given back whole, though some of it was already moved, rejected or acked."""
    other = await declared(bus)
    await bus.publish(outgoing(queue, "moved", "rejected", "acked", "left"))
    async with consuming(bus, queue) as consumer:
        moved, rejected, acked, left = await collect(consumer, 4)
        for _ in range(2):
            await moved.move(other)
            await rejected.reject("no")
            await acked.ack()
        for delivery in (moved, rejected, acked, left):
            await delivery.release()
        (back,) = await collect(consumer, 1)
        assert (back.message_id, back.redeliveries) == ("id-left", 1)
        await back.ack()
        assert await consumer.take(10, wait_s=0.5) == []
    assert ids(await drain(bus, other)) == ["id-moved"]
    assert ids(await drain(bus, DEAD)) == ["id-rejected"]
    await until_empty(bus, queue)


async def test_what_always_comes_back_dies(bus: Bus, queue: str) -> None:
    limited = await declared(bus, delivery_limit=2)
    await bus.publish(outgoing(limited, "poison"))
    async with consuming(bus, limited) as consumer:
        for expected in range(3):
            (delivery,) = await collect(consumer, 1)
            assert delivery.redeliveries == expected
            await delivery.release()
        assert await consumer.take(10, wait_s=1.0) == []
    async with consuming(bus, DEAD) as undertaker:
        (dead,) = await collect(undertaker, 1)
        assert (dead.message_id, dead.body) == ("id-poison", b"body-poison")
        assert await bus.dead_reason(dead) == (limited, "delivery_limit")
        await dead.ack()


async def test_dead_letters_are_never_lost_however_often_they_come_back(bus: Bus, queue: str) -> None:
    await bus.publish(outgoing(DEAD, 1))
    async with consuming(bus, DEAD) as undertaker:
        for _ in range(25):
            (dead,) = await collect(undertaker, 1)
            await dead.release()
        (dead,) = await collect(undertaker, 1)
        assert dead.message_id == "id-1"
        await dead.ack()


async def test_a_single_active_queue_keeps_order_and_hands_over(bus: Bus, bus_server: Server, ordered: str) -> None:
    await bus.publish(outgoing(ordered, *range(6)))
    async with Proxy(bus_server.url) as wire, another(wire.url) as dying, consuming(dying, ordered) as first:
        held = await collect(first, 3)
        assert ids(held) == ["id-0", "id-1", "id-2"]
        await held[0].ack()
        await dying.depth(ordered)
        async with consuming(bus, ordered) as second:
            assert await second.take(10, wait_s=1.0) == []
            more = await collect(first, 1)
            assert ids(more) == ["id-3"]
            wire.cut()
            taken_over = await collect(second, 5)
            assert ids(taken_over) == ["id-1", "id-2", "id-3", "id-4", "id-5"]
            await bus.publish(outgoing(ordered, 6))
            assert ids(await collect(second, 1)) == ["id-6"]


async def test_a_closed_single_active_consumer_hands_over_at_once(bus: Bus, ordered: str) -> None:
    await bus.publish(outgoing(ordered, *range(3)))
    async with consuming(bus, ordered) as second:
        async with consuming(bus, ordered) as first:
            (held,) = await first.take(1, wait_s=5)
            await held.ack()
            assert await second.take(10, wait_s=0.5) == []
        assert ids(await collect(second, 2)) == ["id-1", "id-2"]


async def test_a_slow_batch_keeps_its_turn_and_its_messages(bus: Bus, ordered: str) -> None:
    """Longer than any sign of life lasts: neither the messages nor the turn may go to the other consumer."""
    await bus.publish(outgoing(ordered, 1))
    async with consuming(bus, ordered) as first, consuming(bus, ordered) as second:
        (held,) = await collect(first, 1)
        assert await second.take(10, wait_s=6.0) == []
        await held.ack()
    await until_empty(bus, ordered)


async def test_confirmed_messages_survive_the_death_of_the_server(bus: Bus, bus_server: Server, queue: str) -> None:
    await bus.publish(outgoing(queue, *range(300)))
    await bus_server.restart_after_kill()
    async with consuming(bus, queue) as consumer:
        found: list[Delivery] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < 300:
                for delivery in await consumer.take(100, wait_s=0.5):
                    await delivery.ack()
                    found.append(delivery)
    assert sorted(ids(found)) == sorted(f"id-{number}" for number in range(300))


async def test_an_outage_fails_publishing_in_time_and_heals(bus: Bus, bus_server: Server, queue: str) -> None:
    """A consumer that lives through it is not rebuilt by its owner, and nothing it held is lost."""
    async with consuming(bus, queue) as consumer:
        await bus.publish(outgoing(queue, "held", "waiting"))
        (held,) = await collect(consumer, 1, most=1)
        await bus_server.kill()
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(PublishFailed) as caught:
                await bus.publish(outgoing(queue, "refused"))
            assert caught.value.facts["unconfirmed"] == ["id-refused"]
            assert await consumer.take(10, wait_s=0.5) == []
            assert await consumer.take(10, wait_s=0.5) == []
        await held.ack()
        await bus_server.start()
        await published(bus, outgoing(queue, "after"))
        found: dict[str, Delivery] = {}
        async with asyncio.timeout(PATIENCE_S):
            while {"id-waiting", "id-after"} - found.keys():
                for delivery in await consumer.take(10, wait_s=0.5):
                    found[delivery.message_id] = delivery
                    await delivery.ack()
    await until_empty(bus, queue)


async def test_a_frozen_server_fails_publishing_in_time(bus_url: str, bus_server: Server, bus: Bus, queue: str) -> None:
    async with another(bus_url, publish_timeout_s=0.5) as impatient:
        await impatient.publish(outgoing(queue, 1))
        os.kill(bus_server.running.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while psutil.Process(bus_server.running.pid).status() != psutil.STATUS_STOPPED:
                    await asyncio.sleep(0.01)  # a busy machine does not stop a process at once
                with pytest.raises(PublishFailed) as caught:
                    await impatient.publish(outgoing(queue, 2))
            assert caught.value.facts["unconfirmed"] == ["id-2"]
        finally:
            os.kill(bus_server.running.pid, signal.SIGCONT)
        await published(impatient, outgoing(queue, 3))
    found = {delivery.message_id for delivery in await drain(bus, queue)}
    assert {"id-1", "id-3"} <= found


async def test_publishers_side_by_side_lose_nothing(bus_url: str, bus: Bus, queue: str) -> None:
    async with another(bus_url) as other:
        await asyncio.gather(
            *(
                publisher.publish(outgoing(queue, *(f"{who}-{part}-{n}" for n in range(50))))
                for who, publisher in enumerate((bus, other))
                for part in range(4)
            )
        )
    expected = {f"id-{who}-{part}-{n}" for who in range(2) for part in range(4) for n in range(50)}
    found = await drain(bus, queue)
    assert len(found) == 400
    assert set(ids(found)) == expected


async def test_a_large_batch_arrives_whole_and_in_order(bus: Bus, ordered: str) -> None:
    messages = [Outgoing(ordered, str(number), b"x" * 2000) for number in range(3000)]
    await bus.publish(messages)
    found: list[str] = []
    async with consuming(bus, ordered, prefetch=500) as consumer:
        while len(found) < 3000:
            deliveries = await consumer.take(500, wait_s=5)
            assert deliveries, f"only {len(found)} of 3000 arrived"
            for delivery in deliveries:
                found.append(delivery.message_id)
                await delivery.ack()
    assert found == [str(number) for number in range(3000)]
    assert await bus.depth(ordered) == 0


async def test_a_server_that_lost_everything_has_its_queues_again(bus: Bus, bus_server: Server, ordered: str) -> None:
    """Whoever publishes is told that nobody takes it, until the consumer that waited noticed."""
    async with consuming(bus, ordered) as consumer:
        await bus.publish(outgoing(ordered, "lost"))
        [lost] = await collect(consumer, 1)
        if bus.name == "rabbit":
            await bus_server.restart(bus_server.kill, lambda: lose_everything(bus_server))
        else:
            async with redis.from_url(bus_server.url) as client:
                await client.flushall()
        await lost.ack()
        waiting = asyncio.create_task(collect(consumer, 2))
        await published(bus, outgoing(ordered, 1, 2))
        assert ids(await waiting) == ["id-1", "id-2"]
        assert await bus.depth(DEAD) == 0
