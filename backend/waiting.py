"""`Prefer: wait`: hold an answer until the decision is committed."""

import asyncio
from contextlib import suppress
from uuid import UUID

from core.base.errors import RondaError
from core.base.tasks import end
from core.contracts.topology import BELL_DECIDED
from core.infra.redis import listen
from core.infra.resources import Resources
from core.stores import flow
from core.tables.flow import Decision


class DecisionWaiters:
    """One per web process: hears the doorbell, reads PostgreSQL once for everyone who waits."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._waiting: dict[UUID, asyncio.Future[Decision]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        await end(self._task)

    def expect(self, uid: UUID) -> asyncio.Future[Decision]:
        """Call before the transaction is accepted, so that no bell is missed; `forget` it in the end."""
        return self._waiting.setdefault(uid, asyncio.get_running_loop().create_future())

    def forget(self, uid: UUID) -> None:
        self._waiting.pop(uid, None)

    async def decision(self, uid: UUID, seconds: float) -> Decision | None:
        """The decision, or None when it is not there in time."""
        future = self.expect(uid)
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(future), seconds)
        return None

    async def _listen(self) -> None:
        async for channel, ids in listen(self._resources.redis, [BELL_DECIDED]):
            heard = {UUID(ident) for ident in ids} if channel else set(self._waiting)
            wanted = list(heard & self._waiting.keys())
            if wanted:
                with suppress(RondaError):
                    await self._resolve(wanted)

    async def _resolve(self, wanted: list[UUID]) -> None:
        async with self._resources.postgres.reading() as work:
            decisions = await flow.latest_decisions(work, wanted)
        for uid, decision in decisions.items():
            future = self._waiting.get(uid)
            if future and not future.done():
                future.set_result(decision)
