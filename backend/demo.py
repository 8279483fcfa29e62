"""The demo's data: synthetic history put where real history would be, and a source that posts synthetic payments."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
import structlog

from backend.replay.client import Api, open_api
from backend.synthetic import SOURCE, LivePayment, SyntheticHistory, SyntheticLabel, live
from core.acts.audit import Actor, Event, record, system
from core.acts.labels import LabelInput, record_labels
from core.base.clock import rfc3339, utc_now
from core.base.errors import Unavailable
from core.base.hashing import body_sha
from core.base.terms import Action, Label, LabelSource
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting
from workers.rebuild import rebuild_features

log = structlog.get_logger()
Report = Callable[[float, str], None]
SEED = 7
BY = system("demo")
PAYMENTS_A_COMMIT = 2_000
LABELS_A_COMMIT = 500
IN_FLIGHT = 16
RETRY_S = 1.0
REPORT_EVERY_S = 2.0
LATE = timedelta(seconds=2)
"""The stream does not catch up on payments it is later with than that, after the API was away."""

T = TypeVar("T")


async def load_history(resources: Resources, history: SyntheticHistory, report: Report, *, by: Actor = BY) -> int:
    """Store the history and build the features from it; how many payments were new. Repeating it adds nothing.

    `report` hears the share done of the step it names. The source `demo` must exist. About 20 s for 40,000 payments.
    """
    new = 0
    for done, payments in _chunks(history.payments, PAYMENTS_A_COMMIT):
        async with resources.postgres.unit_of_work() as work:
            arrivals = [accepting.Arrival(payment, _sha(payment)) for payment in payments]
            inserted = await accepting.insert_transactions(work, arrivals, imported=True)
            if inserted:
                detail = {"count": len(inserted), "from": payments[0].transaction_id, "to": payments[-1].transaction_id}
                await record(work, Event(by, Action.HISTORY_IMPORT, "source", SOURCE, detail))
            new += len(inserted)
        report(done / len(history.payments), "storing synthetic history")
    for done, labels in _chunks(history.labels, LABELS_A_COMMIT):
        async with resources.postgres.unit_of_work() as work:
            await record_labels(work, SOURCE, [_input(label) for label in labels], by=by)
        report(done / len(history.labels), "storing its labels")
    await _build_features(resources, report, by)
    return new


async def _build_features(resources: Resources, report: Report, by: Actor) -> None:
    """Also when a worker began to rebuild before the history was whole: then once more after it."""

    def say(share: float, _: str) -> None:
        report(share, "building the features")

    while True:
        if await rebuild_features(resources, by=by, report=say) is not None:
            return
        await asyncio.sleep(RETRY_S)


def _chunks(items: Sequence[T], size: int) -> Iterator[tuple[int, Sequence[T]]]:
    """(how many are done with it, the next few)"""
    for start in range(0, len(items), size):
        chunk = items[start : start + size]
        yield start + len(chunk), chunk


def _sha(payment: Payment) -> bytes:
    """Of the payment as imported: no request carried it, so none can be its replay."""
    fields = msgspec.to_builtins(payment)
    return body_sha({name: value for name, value in fields.items() if name not in ("uid", "accepted_at_ms")})


def _input(label: SyntheticLabel) -> LabelInput:
    """IMPORT: the label was known in its time, long before we took it, and training may count on that."""
    return LabelInput(label.transaction_id, label.label, LabelSource.IMPORT, label.reported_at)


async def stream(url: str, key: str, rate: float, stop: asyncio.Event, *, seed: int = SEED) -> None:
    """Post `rate` synthetic payments a second, and later what became of some, until `stop` is set.

    Waits while the API is away. Raises BadApiKey, Forbidden or InvalidInput when it refuses us for good.
    """
    async with open_api(url, key, connections=IN_FLIGHT + 1, patience_s=3.0) as api:
        source = _Source(api, stop)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(source.report_for_ever())
                await source.send(live(seed, utc_now(), rate), group)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None


@dataclass
class _Source:
    api: Api
    stop: asyncio.Event
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    _reports: list[tuple[float, int, str, Label]] = field(default_factory=list)
    """Heap of (when, on the loop's clock; a number that breaks ties; transaction; label)."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def send(self, payments: Iterator[LivePayment], group: asyncio.TaskGroup) -> None:
        began = utc_now()
        while not self.stop.is_set():
            payment = next(payments)
            late = utc_now() - (began + payment.after)
            if late > LATE:
                began += late
            await self._pause(-late.total_seconds())
            await self._free.acquire()
            group.create_task(self._post(payment))

    async def _post(self, payment: LivePayment) -> None:
        try:
            body = payment.body | {"occurred_at": rfc3339(utc_now())}
            if await self._persist(lambda: self.api.post_payment(body)) and payment.label:
                when = asyncio.get_running_loop().time() + payment.reported_after.total_seconds()
                heapq.heappush(self._reports, (when, next(self._numbers), body["id"], payment.label))
        finally:
            self._free.release()

    async def report_for_ever(self) -> None:
        while not self.stop.is_set():
            await self._pause(REPORT_EVERY_S)
            due: list[dict[str, Any]] = []
            while self._reports and self._reports[0][0] <= asyncio.get_running_loop().time():
                _, _, ident, label = heapq.heappop(self._reports)
                due.append(report_body(ident, label))
            if due:
                await self._persist(lambda due=due: self.api.post_labels(due))  # type: ignore[misc]

    async def _persist(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """The same request until it is answered; None when we are to stop before."""
        while not self.stop.is_set():
            try:
                return await call()
            except Unavailable as error:
                log.warning("the API is away; trying again", detail=error.detail)
                await self._pause(RETRY_S)
        return None

    async def _pause(self, seconds: float) -> None:
        """Ends early when we are to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), max(0.0, seconds))


def report_body(ident: str, label: Label) -> dict[str, Any]:
    source = LabelSource.CHARGEBACK if label is Label.FRAUD else LabelSource.CUSTOMER
    return {
        "transaction_id": ident,
        "label": label.value,
        "source": source.value,
        "reported_at": rfc3339(utc_now()),
    }
