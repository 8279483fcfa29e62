"""Waiting out a server that is away."""

import asyncio
import random
from typing import Any, Final

import structlog

log = structlog.get_logger()

FIRST_S: Final = 0.1
LONGEST_S: Final = 2.0


class Outage:
    """Logs the beginning and the end of an outage once each, and waits longer after each failed attempt."""

    def __init__(self, server: str, **facts: Any) -> None:
        self._server, self._facts = server, facts
        self._since: float | None = None
        self._pause_s = FIRST_S

    async def wait(self, reason: str, until: float) -> None:
        """Sleeps before the next attempt, at most until the event loop's time `until`."""
        loop = asyncio.get_running_loop()
        if self._since is None:
            self._since = loop.time()
            log.warning("server is away", server=self._server, reason=reason, **self._facts)
        pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, guards nothing
        self._pause_s = min(2 * self._pause_s, LONGEST_S)
        await asyncio.sleep(max(0.0, min(pause_s, until - loop.time())))

    def over(self) -> None:
        if self._since is not None:
            away_s = round(asyncio.get_running_loop().time() - self._since, 1)
            log.info("server is back", server=self._server, away_s=away_s, **self._facts)
        self._since, self._pause_s = None, FIRST_S
