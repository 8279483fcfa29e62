"""Sends a file's payments and labels in the order of their event times.

What holds, for every payment of event time t, before its request leaves:
 1. each label with reported_at <= t is stored (the API has answered), and was sent ahead by a few windows where its payment
    was posted by then, so that the feedback worker has had time to apply it. Labels that arrive early are harmless:
    features count a label from its `reported_at` on, in event time;
 2. each earlier payment is accepted; with several requests in flight, each earlier one of the same customer;
 3. at most `max_undecided` payments and a window wait for their decision. One scorer takes so few in one go and in order, so
    that merchants, devices and addresses see their payments in time too; several scorers need `max_undecided` 0 and small
    batches for that.
A request that is repeated, after a lost connection or because the API was busy, names the same ids; the API takes each once.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from backend.replay.client import Api, Item
from backend.replay.feed import DecisionFeed, key_of
from backend.replay.options import API_BATCH_MAX, ReplayOptions
from backend.replay.order import Window
from backend.replay.progress import Progress
from backend.replay.tally import Tally
from core.base.clock import from_ms, rfc3339
from core.base.hashing import shard_of
from core.base.terms import Label

LABELS_AHEAD = 8
"""Windows by which a label is sent ahead."""
_POLL_S = 0.05


@dataclass(frozen=True)
class DueLabel:
    """The truth about a posted payment, in the order it becomes known."""

    reported_ms: int
    transaction_id: str
    fraud: bool


class Labels:
    """Labels of posted payments that were not sent yet. The delay is one for all, so the first in is the first due."""

    def __init__(self, api: Api, options: ReplayOptions, tally: Tally) -> None:
        self._api, self._options, self._tally = api, options, tally
        self._delay_ms = round(options.label_delay.total_seconds() * 1000)
        self._due: deque[DueLabel] = deque()

    def learn(self, window: Window) -> None:
        """Called once the window's payments are posted."""
        if self._options.labels:
            for body, occurred, fraud in zip(window.bodies, window.times, window.fraud, strict=True):
                if fraud >= 0:
                    self._due.append(DueLabel(occurred + self._delay_ms, body["id"], fraud == 1))

    async def send_until(self, horizon_ms: float) -> None:
        """Post every label due by then, earliest first. inf = all."""
        while self._due and self._due[0].reported_ms <= horizon_ms:
            ready: list[dict[str, Any]] = []
            while self._due and self._due[0].reported_ms <= horizon_ms and len(ready) < API_BATCH_MAX:
                ready.append(self._body(self._due.popleft()))
            self._tally.count_labels(ready, await self._api.post_labels(ready))

    def _body(self, due: DueLabel) -> dict[str, Any]:
        return {
            "transaction_id": due.transaction_id,
            "label": (Label.FRAUD if due.fraud else Label.LEGITIMATE).value,
            "source": self._options.label_source.value,
            "reported_at": rfc3339(from_ms(due.reported_ms)),
        }


class Driver:
    """One run over the windows of a file."""

    def __init__(self, options: ReplayOptions, api: Api, tally: Tally, progress: Progress) -> None:
        self._options, self._api, self._tally, self._progress = options, api, tally, progress
        self._labels = Labels(api, options, tally)
        self._feed = DecisionFeed(api, options.source)
        self._following: asyncio.Task[None] | None = None
        self._hold_back = options.wait_decisions

    @property
    def feed(self) -> DecisionFeed:
        return self._feed

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """The decisions are read along inside this block, when they are wanted."""
        if self._options.wait_decisions:
            self._following = asyncio.create_task(self._feed.follow())
        try:
            yield
        finally:
            if self._following:
                self._following.cancel()
                with suppress(asyncio.CancelledError):
                    await self._following

    async def send(self, windows: Iterator[Window]) -> None:
        """Every payment, and the labels whose time comes on the way."""
        started = time.monotonic()
        ahead: deque[Window] = deque(itertools.islice(windows, LABELS_AHEAD))
        while ahead:
            window = ahead.popleft()
            ahead.extend(itertools.islice(windows, 1))
            await self._pace(started)
            await self._let_scoring_follow()
            await self._labels.send_until(window.last_ms)
            horizon = ahead[-1].last_ms if ahead else window.last_ms
            await _together(self._post(window), self._labels.send_until(horizon))
            self._labels.learn(window)
            self._tally.posting_s = time.monotonic() - started
            self._progress.posted(self._tally.posted, len(self._feed.waiting))

    async def settle(self) -> None:
        """Wait for the missing decisions, as long as some still come; then send the labels that are due after the last payment."""
        if self._options.wait_decisions:
            self._feed.moved_at = time.monotonic()  # patience begins now, however long scoring has been away
            while not self._all_decided() and self._feed.quiet_for_s() < self._options.wait_s:
                self._progress.waiting(len(self._feed.waiting))
                await self._poll()
        await self._labels.send_until(float("inf"))

    def _all_decided(self) -> bool:
        return self._feed.caught_up and not self._feed.waiting

    async def _post(self, window: Window) -> None:
        """Requests side by side, one customer's payments always in the same one or in one after the other."""
        lanes: list[list[int]] = [[] for _ in range(self._options.concurrency)]
        for place, body in enumerate(window.bodies):
            lanes[shard_of(body["customer_id"], len(lanes))].append(place)
        await _together(*(self._post_lane(window, lane) for lane in lanes if lane))

    async def _post_lane(self, window: Window, lane: Sequence[int]) -> None:
        for start in range(0, len(lane), API_BATCH_MAX):
            places = lane[start : start + API_BATCH_MAX]
            sent = [window.bodies[place] for place in places]
            if self._following:
                self._feed.waiting.update(key_of(body["id"]) for body in sent)
            items = await self._api.post_payments(sent)
            for place, item in zip(places, items, strict=True):
                self._settle_item(window, place, item)

    def _settle_item(self, window: Window, place: int, item: Item) -> None:
        body = window.bodies[place]
        key = key_of(body["id"])
        taken = self._tally.count_payment(body, item, key, window.times[place], window.fraud[place])
        # A replayed payment may have been decided before we began to look; the final join finds that out.
        if not taken or item.status == "replayed":
            self._feed.waiting.discard(key)

    async def _pace(self, started: float) -> None:
        if self._options.rate:
            await asyncio.sleep(started + self._tally.posted / self._options.rate - time.monotonic())

    async def _let_scoring_follow(self) -> None:
        """Back-pressure of our own: without it the API would queue what the scorers cannot follow."""
        while self._hold_back and len(self._feed.waiting) > self._options.max_undecided:
            if self._feed.quiet_for_s() > self._options.wait_s:
                self._progress.warn("no decisions come; sending on without waiting for them")
                self._hold_back = False
            await self._poll()

    async def _poll(self) -> None:
        if self._following and self._following.done():
            self._following.result()  # raises what ended it
        await asyncio.sleep(_POLL_S)


async def _together(*steps: Coroutine[Any, Any, None]) -> None:
    """All at once; the first that fails stops the others, and its error is ours."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
