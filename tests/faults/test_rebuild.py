"""The feature state is built anew while payments are scored: none waits for it, and every vector is what a replay says."""

import asyncio
import re
import sys
import time
from asyncio.subprocess import PIPE
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text

from core.acts.audit import system
from core.base.clock import to_ms, utc_now
from core.infra.resources import Resources
from core.stores import accepting
from tests.faults.conftest import Note
from tests.faults.payments_at_work import Stream, at_work, ledger, settled
from tests.faults.system import HOME, environment_of
from workers.rebuild import rebuild_features

BY = system("test")
PER_S, CHUNK = 100.0, 1_000
SPAN_MS = int(timedelta(days=60) / timedelta(milliseconds=1))
MOST_S = 300.0
"""A rebuild of 200,000 payments may take so long."""


async def store_history(resources: Resources, stream: Stream, count: int) -> None:
    """Imported payments of the same entities, evenly over the weeks before."""
    until_ms = to_ms(utc_now())
    for start in range(0, count, CHUNK):
        arrivals = []
        for place in range(start, min(start + CHUNK, count)):
            arrival, occurred_at_ms = stream.arrival(), until_ms - (count - place) * SPAN_MS // count
            arrivals.append(
                replace(arrival, payment=msgspec.structs.replace(arrival.payment, occurred_at_ms=occurred_at_ms))
            )
        async with resources.postgres.unit_of_work() as work:
            await accepting.insert_transactions(work, arrivals, imported=True)


async def rebuilt_as_typed(resources: Resources) -> int:
    """How many payments `ronda features rebuild` says it took: a process of its own beside the scorer, as it is one in operation."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "backend", "features", "rebuild",
        cwd=HOME, env=environment_of(resources.settings), stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    said, complaint = await process.communicate()
    found = re.search(r"([\d,]+) payments", said.decode())
    assert process.returncode == 0, complaint.decode()
    assert found, said.decode()
    return int(found[1].replace(",", ""))


async def waits_ms(resources: Resources, since_sent: int) -> tuple[float, float]:
    """p50 and p99 from acceptance to decision, of the payments sent after so many."""
    query = text(
        "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM d.decided_at - t.accepted_at)) "
        "FROM transaction t JOIN decision d ON d.transaction_uid = t.uid "
        "WHERE NOT t.imported AND CAST(split_part(t.transaction_id, '-', 2) AS integer) > :since"
    )
    async with resources.postgres.reading() as work:
        [found] = (await work.run(query, {"since": since_sent})).scalars()
    return found[0] * 1000, found[1] * 1000


@pytest.mark.timeout(2400)  # three rebuilds, and whoever is too slow ends with a figure
async def test_a_rebuild_beside_live_payments(resources: Resources, note: Note, long_faults: bool) -> None:
    history, before = (200_000, 3_000) if long_faults else (6_000, 300)
    async with at_work(resources, "score", "relay", "rescore") as ingest:
        stream = Stream(ingest, seed=6)
        await store_history(resources, stream, history)
        while await rebuild_features(resources, by=BY) is None:  # the scorer that begins is at it
            await asyncio.sleep(0.1)
        sent = stream.sent
        await stream.send(before, PER_S)
        await settled(resources, 60)
        calm, sent = await waits_ms(resources, sent), stream.sent
        began = time.monotonic()
        rebuilding = asyncio.create_task(rebuilt_as_typed(resources))
        while not rebuilding.done():
            await stream.send(50, PER_S)
        rebuilt, took_s = await rebuilding, time.monotonic() - began
        busy = await waits_ms(resources, sent)
        await stream.send(before, PER_S)
        await settled(resources, 60)
        found = await ledger(resources)
    waits = " and ".join(f"{before:.0f} to {meanwhile:.0f} ms" for before, meanwhile in zip(calm, busy, strict=True))
    note(f"{rebuilt:,} payments in {took_s:.1f} s; p50 and p99 of a decision from {waits}\n{found.words()}")
    assert rebuilt >= history + before
    assert took_s < MOST_S
    assert found.accepted == stream.sent - history == found.decided
    assert found.approved_without_features == 0
    assert found.repeated == found.degraded
    assert found.vectors == found.accepted
    assert found.differing == 0
