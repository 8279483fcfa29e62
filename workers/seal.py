"""Seals the audit trail: each second closes over the events whose transactions have ended, each minute anchors the newest checkpoint."""

import asyncio

import structlog

from core.acts.audit_seals import checkpoint_line, seal_next
from core.base.errors import Unavailable
from core.base.settings import Settings
from core.base.telemetry import AUDIT_SEALED, AUDIT_UNSEALED_SECONDS
from core.infra.anchor import append_line
from core.infra.postgres import Postgres, connect_postgres
from core.infra.signing import CHECKPOINTS, Keys, keys_of
from core.stores import seals
from core.tables.ledger import AuditSeal
from workers.runner import JobContext

log = structlog.get_logger()
TICK_S = 1.0
ANCHOR_EVERY_S = 60.0


async def seal(context: JobContext) -> None:
    """On a connection of its own: its role may add seals, which the application's may not."""
    settings = context.resources.settings
    keys = keys_of(settings, CHECKPOINTS)
    postgres = connect_sealer(settings)
    anchor = Anchor(settings)
    try:
        while not context.stopping.is_set():
            await seal_all(postgres, keys, context.stopping)
            await anchor.when_due(postgres)
            await context.pause(TICK_S)
    finally:
        await postgres.close()


def connect_sealer(settings: Settings) -> Postgres:
    url = settings.database_url.get_secret_value()
    return connect_postgres(url, role=settings.sealer_role, pool=1, application="seal")


async def seal_all(postgres: Postgres, keys: Keys, stopping: asyncio.Event | None = None) -> list[AuditSeal]:
    """All that could be sealed when it was called. What is written meanwhile is left: else it would not end while somebody writes."""
    made: list[AuditSeal] = []
    async with postgres.reading() as work:
        until = await seals.finished(work)
    while not (stopping and stopping.is_set()) and (not made or made[-1].xid_hi < until):
        async with postgres.unit_of_work() as work:
            sealed = await seal_next(work, keys)
        if sealed is None:
            break
        AUDIT_SEALED.inc(sealed.count)
        made.append(sealed)
    async with postgres.reading() as work:
        AUDIT_UNSEALED_SECONDS.set((await seals.oldest_unsealed(work)).seconds)
    return made


class Anchor:
    """Tells the newest checkpoint to the log and to the file outside the database. Sealing goes on when that fails."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.anchor_file
        self._anchored, self._next = 0, 0.0

    async def when_due(self, postgres: Postgres) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        async with postgres.reading() as work:
            newest = await seals.newest_checkpoint(work)
        if newest is None or newest.size == self._anchored:
            return
        self._next = now + ANCHOR_EVERY_S
        line = checkpoint_line(newest)
        log.info("audit checkpoint", line=line)
        try:
            if self._path:
                await asyncio.to_thread(append_line, self._path, line)
        except Unavailable as error:
            log.error("the audit trail was not anchored", detail=error.detail)
            return
        self._anchored = newest.size
