"""The live hub: Redis rings, PostgreSQL is read again, one rendering goes to all who read alike.

One hub a process. A stream that cannot keep up is told to load afresh instead of growing a queue.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from jinja2 import Environment

from console.i18n import Reader, reader, speaking_to
from console.views.queue import alert_row, badge, people_in
from console.views.queue_bar import default_views
from core.base.clock import to_ms, utc_now
from core.base.errors import RondaError, TooManyAttempts
from core.contracts.topology import BELL_ALERTS, BELL_MODELS, BELL_RUNS
from core.infra.postgres import UnitOfWork
from core.infra.redis import listen
from core.infra.resources import Resources
from core.stores import casework, people, policy, queue_counts
from core.stores.flow import NIL
from core.stores.queue_filter import AlertFilter, Look, holds
from core.tables.casework import Alert

HEARTBEAT_S: Final = 15.0
COALESCE_S: Final = 0.25
"""Bells that ring together are answered together."""
RECHECK_S: Final = 5.0
"""How often PostgreSQL is asked without a bell: Redis keeps no history of them."""
BACKLOG: Final = 64
STREAMS_A_USER: Final = 20
QUEUE: Final = "queue"
MODELS: Final = "models"
OVERLAP: Final = timedelta(seconds=30)
"""An alert may be committed after a page was rendered though it was opened before; the page drops what it has already."""
_REMEMBERED: Final = 1000
_AT_ONCE: Final = 100
_WATCHED: Final = 300
"""Newest alerts whose versions are compared without a bell: as many as a page may hold."""

log = structlog.get_logger()


def alert_topic(alert_id: UUID) -> str:
    return f"alert:{alert_id}"


def _alert_of(topic: str) -> UUID:
    return UUID(topic.removeprefix("alert:"))


def sse(*, body: str = "", event: str = "", ident: int | None = None) -> str:
    """One message; an unnamed one is swapped in by htmx, a named one becomes a DOM event."""
    lines = [f"id: {ident}"] if ident is not None else []
    lines += [f"event: {event}"] if event else []
    lines += [f"data: {line}" for line in body.splitlines() or [""]]
    return "\n".join(lines) + "\n\n"


RELOAD: Final = sse(event="ronda:reload")
"""The page fetches its list again: something was missed."""
_MODELS_CHANGED: Final = sse(event="ronda:models")


def _alert_changed(version: int) -> str:
    return sse(event="ronda:alert", body=str(version))


@dataclass(eq=False)
class Listener:
    """One open stream. `since`: when its page was rendered; alerts opened after it are new to it."""

    topic: str
    user_id: UUID
    since: datetime
    wanted: AlertFilter = field(default_factory=AlertFilter)
    reader: Reader = field(default_factory=reader)
    queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(BACKLOG))

    def push(self, message: str) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self._empty()
            self.queue.put_nowait(RELOAD)

    def end(self) -> None:
        self._empty()
        self.queue.put_nowait(None)

    def _empty(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()


class Drawn:
    """A fragment, rendered once for all who read alike."""

    def __init__(self, draw: Callable[[], str]) -> None:
        self._draw = draw
        self._found: dict[Reader, str] = {}

    def to(self, who: Reader) -> str:
        if who not in self._found:
            with speaking_to(who):
                self._found[who] = self._draw()
        return self._found[who]


@dataclass(frozen=True)
class Change:
    """An alert as it is now, and its row."""

    alert: Alert
    row: Drawn


def shown_to(listener: Listener, alert: Alert) -> bool:
    """Whether this alert, when new, belongs on the listener's page."""
    return holds(alert, listener.wanted, Look(utc_now(), listener.user_id))


@dataclass(frozen=True)
class Badges:
    """Numbers of the views that everybody has, by the view's key; claims: of each person's own."""

    common: Mapping[str, str]
    claims: Mapping[UUID, int]

    def to(self, user_id: UUID) -> str:
        shown = {**self.common, "mine": badge(self.claims.get(user_id, 0))}
        return "".join(
            f'<hx-partial hx-target="#count-{key}" hx-swap="innerHTML">{number}</hx-partial>'
            for key, number in shown.items()
            if number
        )


def queue_message(listener: Listener, changes: Sequence[Change], badges: Badges, at_ms: int) -> str:
    """New rows go on top, known ones are patched where they stand; a patch for a row that is not there does nothing."""
    parts = []
    for change in changes:
        row = change.row.to(listener.reader)
        if change.alert.opened_at > listener.since - OVERLAP and shown_to(listener, change.alert):
            parts.append(f'<hx-partial hx-target="#queue-rows" hx-swap="afterbegin">{row}</hx-partial>')
        else:
            target = f"#alert-{change.alert.id}"
            parts.append(f'<hx-partial hx-target="{target}" hx-swap="outerMorph">{row}</hx-partial>')
    return sse(body="".join([*parts, badges.to(listener.user_id)]), ident=at_ms)


class Hub:
    """Listens for the whole process and fans out."""

    def __init__(self, resources: Resources, templates: Environment) -> None:
        self._resources = resources
        self._templates = templates
        self._listeners: set[Listener] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._rung: set[UUID] = set()
        self._models_rang = False
        self._models_told: tuple[object, ...] | None = None
        """Stages and progress at the last look."""
        self._wake = asyncio.Event()
        self._known: dict[UUID, int] = {}
        """Alert versions last told, the newest told last."""
        self._heard: deque[tuple[int, UUID]] = deque(maxlen=_REMEMBERED)
        """(epoch ms, alert) of what changed lately, for streams that come back."""
        self._complete_since_ms: int | None = None
        """Everything that changed after it was noticed; None before the first look."""
        self._stopping = False

    def start(self) -> None:
        self._complete_since_ms = None
        self._known.clear()
        self._wake.set()  # the first look is taken at once
        self._tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._tell())]
        for task in self._tasks:
            task.add_done_callback(self._fell)

    def _fell(self, task: "asyncio.Task[None]") -> None:
        """A bug: say so, and end the streams so that their pages come back to a hub that listens again."""
        if task.cancelled() or self._stopping:
            return
        log.error("live updates broke", exc_info=task.exception())
        for other in self._tasks:
            other.cancel()
        self._tasks = []
        for listener in self._listeners:
            listener.end()

    def end_streams(self) -> None:
        """Every stream ends now, and pages reconnect by themselves. For a server that is about to stop."""
        self._stopping = True
        for listener in self._listeners:
            listener.end()

    async def close(self) -> None:
        self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open(self, listener: Listener, last_id_ms: int | None) -> None:
        """`last_id_ms`: the last message of the queue that this client saw, None on its first visit. Raises TooManyAttempts."""
        if sum(other.user_id == listener.user_id for other in self._listeners) >= STREAMS_A_USER:
            raise TooManyAttempts("You have too many live pages open.", retry_after_s=60)
        if not self._tasks and not self._stopping:
            self.start()
        self._listeners.add(listener)
        try:
            if listener.topic == QUEUE:
                await self._catch_up(listener, to_ms(listener.since) if last_id_ms is None else last_id_ms)
            else:
                await self._say_again(listener)
        except BaseException:  # its stream never begins, so nobody else would take it out
            self._listeners.discard(listener)
            raise

    async def _catch_up(self, listener: Listener, from_ms: int) -> None:
        """What changed between the page's rendering, or its last message, and now."""
        complete = self._complete_since_ms
        if complete is not None and len(self._heard) == _REMEMBERED:
            complete = max(complete, self._heard[0][0])
        if complete is None or from_ms < complete:
            listener.push(RELOAD)
            return
        missed = {ident for at_ms, ident in self._heard if at_ms >= from_ms - 2000}
        if missed:
            changes, badges = await self._read(list(missed))
            listener.push(queue_message(listener, changes, badges, to_ms(utc_now())))

    async def _say_again(self, listener: Listener) -> None:
        """What bells said while nobody listened: since the page was rendered, or while its tab was in the background."""
        if listener.topic == MODELS:
            listener.push(_MODELS_CHANGED)
            return
        async with self._resources.postgres.reading() as work:
            versions = await casework.alert_versions(work, [_alert_of(listener.topic)], newest=0)
        for version in versions.values():
            listener.push(_alert_changed(version))

    async def messages(self, listener: Listener, still_allowed: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
        """What goes over the wire until the client leaves, the session ends or the server stops."""
        asked = time.monotonic()
        try:
            yield "retry: 1000\n: hello\n\n"
            while not self._stopping:
                message: str | None = ": tick\n\n"
                with suppress(TimeoutError):
                    message = await asyncio.wait_for(listener.queue.get(), HEARTBEAT_S)
                if time.monotonic() - asked >= HEARTBEAT_S:
                    asked = time.monotonic()
                    if not await still_allowed():
                        return
                if message is None:
                    return
                yield message
        finally:
            self._listeners.discard(listener)

    async def _hear(self) -> None:
        async for channel, ids in listen(self._resources.redis, (BELL_ALERTS, BELL_RUNS, BELL_MODELS)):
            if channel == BELL_ALERTS:
                self._ring({UUID(ident) for ident in ids})
            elif channel:
                self._models_rang = True
                self._wake.set()

    def _ring(self, ids: set[UUID]) -> None:
        now_ms = to_ms(utc_now())
        self._heard.extend((now_ms, ident) for ident in ids)
        self._rung |= ids
        self._wake.set()

    async def _tell(self) -> None:
        checked = float("-inf")
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RECHECK_S)
            self._wake.clear()
            try:
                if time.monotonic() - checked >= RECHECK_S:
                    self._ring(await self._untold())
                    await self._look_at_models()
                    checked = time.monotonic()
                await self._announce()
            except RondaError as error:
                log.warning("live updates wait", detail=error.detail)
                self._wake.set()
                await asyncio.sleep(1)
            await asyncio.sleep(COALESCE_S)

    async def _untold(self) -> set[UUID]:
        """Alerts whose version is not the one last told: what a lost bell would have said."""
        asked_at_ms = to_ms(utc_now())
        async with self._resources.postgres.reading() as work:
            versions = await casework.alert_versions(work, list(self._known), newest=_WATCHED)
        if self._complete_since_ms is None:  # the first look only learns what there is
            self._known.update(versions)
            self._complete_since_ms = asked_at_ms
        return {ident for ident, version in versions.items() if self._known.get(ident) != version}

    async def _look_at_models(self) -> None:
        async with self._resources.postgres.reading() as work:
            found = await policy.standing(work)
        self._models_rang |= self._models_told not in (None, found)
        self._models_told = found

    async def _announce(self) -> None:
        if self._models_rang:
            self._models_rang = False
            self._send(MODELS, _MODELS_CHANGED)
        while self._rung:
            chosen = [self._rung.pop() for _ in range(min(_AT_ONCE, len(self._rung)))]
            try:
                changes, badges = await self._read(chosen)
            except RondaError:
                self._rung.update(chosen)
                raise
            self._fan_out(changes, badges)

    async def _read(self, ids: Sequence[UUID]) -> tuple[list[Change], Badges]:
        """Rows oldest first, so that the newest ends on top; and the views' badges."""
        async with self._resources.postgres.reading() as work:
            alerts = sorted(await casework.alerts_by_id(work, ids), key=lambda alert: (alert.opened_at, alert.id))
            names = await people.names_of(work, people_in(alerts))
            badges = await self._badges(work)
        now = utc_now()
        return [Change(alert, Drawn(partial(self._row, alert, names, now))) for alert in alerts], badges

    async def _badges(self, work: UnitOfWork) -> Badges:
        views = default_views(self._resources.settings.high_value_from)
        counts = await queue_counts.badges(work, [view.wanted for view in views.values()], Look(utc_now(), NIL))
        return Badges(dict(zip(views, map(badge, counts), strict=True)), await queue_counts.claims(work))

    def _row(self, alert: Alert, names: Mapping[UUID, str], now: datetime) -> str:
        return self._templates.get_template("_alert_row.html").render(row=alert_row(alert, names, now))

    def _fan_out(self, changes: Sequence[Change], badges: Badges) -> None:
        for change in changes:
            self._known.pop(change.alert.id, None)
            self._known[change.alert.id] = change.alert.version
            self._send(alert_topic(change.alert.id), _alert_changed(change.alert.version))
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        now_ms = to_ms(utc_now())
        for listener in self._listeners:
            if listener.topic == QUEUE:
                listener.push(queue_message(listener, changes, badges, now_ms))

    def _send(self, topic: str, message: str) -> None:
        for listener in self._listeners:
            if listener.topic == topic:
                listener.push(message)
