"""Sources that repeat themselves, contradict themselves, and hang up in the middle of a sentence."""

import asyncio
import random
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.faults.checker import rows
from tests.faults.client import Client, duplicated, payments
from tests.faults.conftest import Profile, Run

BAD = (
    {"amount": "-1.00"},
    {"currency": "euro"},
    {"occurred_at": "2126-01-31T09:30:00Z"},
    {"customer_id": ""},
    {"unknown": 1},
)


@pytest.mark.timeout(600)
async def test_duplicates_and_contradictions(run: Run, profile: Profile, seed: int) -> None:
    """30 % come twice, shuffled; 2 % lie in the future; 1 % come once more, later, with another amount."""
    good = payments("dup", profile.of(400, 5000), 40, seed)
    future = [{**body, "id": f"f{body['id']}", "occurred_at": "2126-01-31T09:30:00Z"} for body in good[:: 100 // 2]]
    contradictions = [{**body, "amount": "0.01"} for body in good[::100]]
    sent = duplicated([*good, *future], 0.3, seed)
    run.system.faults["duplicates"] = len(sent) - len(good) - len(future)
    run.system.faults["contradictions"] = len(contradictions)
    first = await run.client.post_all(sent, 200)
    again = await run.client.post_all(contradictions, 200)
    assert Counter(zip((body["id"][0] for body in sent), first, strict=True)).keys() == {("d", 202), ("f", 422)}
    assert again == [409] * len(contradictions)
    found = await run.settle(seed)
    assert found.accepted == len(good)
    query = "SELECT count(*) AS n FROM transaction WHERE source_id = :source AND amount_minor = 1"
    assert (await rows(run.resources, query, source=run.source))[0].n == 0, "a contradiction replaced what was accepted"
    query = "SELECT count(*) AS n FROM audit_event WHERE action = 'transaction.conflict' AND actor_id = :key"
    refusals = (await rows(run.resources, query, key=run.client.key_prefix))[0].n
    assert refusals == len(contradictions)


def batch(prefix: str, size: int, seed: int) -> list[dict[str, Any]]:
    """`size` items: a tenth repeats others of the same batch, a twentieth is not acceptable, all shuffled."""
    repeated, bad = size // 10, size // 20
    good = payments(prefix, size - repeated - bad, size - repeated - bad, seed)
    spoilt = [{**good[n], "id": f"bad-{prefix}-{seed}-{n}", **BAD[n % len(BAD)]} for n in range(bad)]
    items = [*good, *good[:repeated], *spoilt]
    random.Random(seed).shuffle(items)
    return items


def expected(size: int) -> Counter[str]:
    return Counter(accepted=size - size // 10 - size // 20, replayed=size // 10, invalid=size // 20)


async def posted(client: Client, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results in the order of the items; acknowledged ones go into the ledger."""
    async with client.open() as session:
        answer = await session.post("/v1/transactions/batch", content=msgspec.json.encode(items))
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert len(results) == len(items)
    for item, result in zip(items, results, strict=True):
        assert result.get("id", item["id"]) == item["id"]
        if result["status"] != "invalid":
            client.ledger.note(item["id"], 200)
    return results


async def cut(client: Client, items: list[dict[str, Any]], draw: random.Random) -> None:
    """Sends the batch and resets the connection after a random number of bytes, of the request or of the answer."""
    body = msgspec.json.encode(items)
    url = urlsplit(client.base_url)
    head = (
        f"POST /v1/transactions/batch HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {client.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    request = head + body
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    if draw.random() < 0.5:
        writer.write(request[: draw.randrange(1, len(request))])
        await writer.drain()
    else:
        writer.write(request)
        await writer.drain()
        await asyncio.sleep(draw.uniform(0, 0.03))
        if draw.random() < 0.5:
            await reader.read(draw.randint(1, 200))
    writer.transport.abort()


@pytest.mark.timeout(600)
async def test_a_batch_and_a_line_that_is_cut(run: Run, profile: Profile, seed: int) -> None:
    size, cuts, part = 1000, profile.of(20, 50), profile.of(100, 1000)
    whole = batch("whole", size, seed)
    assert Counter(result["status"] for result in await posted(run.client, whole)) == expected(size)
    again = Counter(result["status"] for result in await posted(run.client, whole))
    assert again == Counter(replayed=size - size // 20, invalid=size // 20)
    draw = random.Random(seed)
    for number in range(cuts):
        items = batch(f"cut{number}", part, seed)
        await cut(run.client, items, draw)
        statuses = Counter(result["status"] for result in await posted(run.client, items))
        assert statuses["invalid"] == part // 20
        assert statuses["accepted"] + statuses["replayed"] == part - part // 20
    run.system.faults["cut batches"] = cuts
    found = await run.settle(seed)
    assert found.accepted == expected(size)["accepted"] + cuts * expected(part)["accepted"]
