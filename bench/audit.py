"""How fast the audit trail is verified, and whether memory stays bounded while it is.

    python -m bench.audit
    python -m bench.audit --events 1000000 --times 5
    python -m bench.audit --url postgresql://... --times 5

Without --url: a private PostgreSQL in a temporary folder, and events of the size that ingest and the scorer write, sealed as the job `seal`
does it. With --url: a trail that is there, such as one that --keep left behind, so that two versions of the code can read the same one.
"""

import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from backend.commands.common import Json, show, show_json
from backend.embedded import start_postgres
from backend.migrations import migrate
from core.acts.audit import Event, record, system
from core.acts.audit_verify import verify
from core.base.hashing import sha256
from core.base.ids import new_uuid
from core.base.settings import Settings
from core.base.terms import Action
from core.infra.postgres import Postgres, connect_postgres
from core.infra.signing import CHECKPOINTS, KeyPair, Keys
from core.stores import seals
from workers.seal import connect_sealer, seal_all

A_COMMIT, COMMITS_A_SEAL = 100, 20
BY = system("bench")


@dataclass(frozen=True)
class Figures:
    """`grown_mib`: how much larger this process ever was than before the first verification."""

    events: int
    faults: int
    seconds: list[float]
    per_s: float
    grown_mib: float


def run(
    events: Annotated[int, typer.Option(min=1_000, help="How many are written.")] = 300_000,
    times: Annotated[int, typer.Option(min=1, help="How often they are verified.")] = 3,
    url: Annotated[str, typer.Option(help="Verify the trail of this database; nothing is written.")] = "",
    keep: Annotated[Path | None, typer.Option(help="Write into this folder, say the URL, and wait for Ctrl+C.")] = None,
    as_json: Json = False,
) -> None:
    figures = asyncio.run(_measure(events, times, url, keep))
    if as_json:
        show_json(asdict(figures))
        return
    show(f"{figures.events:,} events, {figures.faults} faults; {figures.per_s:,.0f} a second (median of {times})")
    show(f"{', '.join(f'{one:.2f}' for one in figures.seconds)} s; {figures.grown_mib:.0f} MiB grown")


async def _measure(events: int, times: int, url: str, keep: Path | None) -> Figures:
    if url:
        return await _verified(url, times)
    async with _written(events, keep) as made:
        figures = await _verified(made, times)
        if keep:
            show(made)
            await asyncio.Event().wait()
        return figures


@asynccontextmanager
async def _written(events: int, keep: Path | None) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="ronda-audit-") as temporary:
        server = await start_postgres(keep or Path(temporary))
        try:
            await asyncio.to_thread(migrate, server.url)
            await _write(server.url, events)
            yield server.url
        finally:
            await server.stop()


async def _write(url: str, events: int) -> None:
    settings = Settings(database_url=SecretStr(url))
    keys = Keys(KeyPair.new().private, [], use=CHECKPOINTS)
    postgres, sealer = _opened(settings), connect_sealer(settings)
    try:
        for commit in range(-(-events // A_COMMIT)):
            async with postgres.unit_of_work() as work:
                await record(work, *(_event() for _ in range(A_COMMIT)))
            if commit % COMMITS_A_SEAL == COMMITS_A_SEAL - 1:
                await seal_all(sealer, keys)
        await seal_all(sealer, keys)
    finally:
        await postgres.close()
        await sealer.close()


def _event() -> Event:
    """As the scorer writes one for a batch."""
    uid = new_uuid()
    detail = {
        "count": 64,
        "first": uid.hex,
        "decisions_sha": sha256(uid.bytes).hex(),
        "model": "3f1c0a9e77b2",
        "policy": 1,
    }
    return Event(BY, Action.TRANSACTIONS_ACCEPT, "transaction", str(uid), detail)


def _opened(settings: Settings) -> Postgres:
    url = settings.database_url.get_secret_value()
    return connect_postgres(url, role=settings.database_role, pool=1, application="bench")


async def _verified(url: str, times: int) -> Figures:
    """The checkpoints' signatures are checked as well, by whatever key signed them."""
    postgres = _opened(Settings(database_url=SecretStr(url)))
    try:
        keys = await _keys(postgres)
        seconds, before = [], _largest_mib()
        for _ in range(times):
            started = time.perf_counter()
            async with postgres.reading() as work:
                found = await verify(work, keys, None)
            seconds.append(time.perf_counter() - started)
    finally:
        await postgres.close()
    per_s = found.events / statistics.median(seconds)
    return Figures(found.events, len(found.faults), seconds, per_s, _largest_mib() - before)


async def _keys(postgres: Postgres) -> Keys:
    async with postgres.reading() as work:
        newest = await seals.newest_checkpoint(work)
    return Keys(None, [newest.key] if newest else [], use=CHECKPOINTS)


def _largest_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    typer.run(run)
