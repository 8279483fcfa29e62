"""A source that posts payments through every failure, and writes down each answer it got."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec

CUT = 0
"""No answer: the connection broke, or nothing came in time."""
AGAIN = (CUT, 503)
GIVE_UP_S = 90.0


@dataclass
class Ledger:
    """Every id with all its answers, in memory and on disk. An answer is an HTTP status, or CUT."""

    path: Path
    answers: dict[str, list[int]] = field(default_factory=dict)
    hasty: int = 0
    """503s without Retry-After."""

    def note(self, ident: str, status: int) -> None:
        self.answers.setdefault(ident, []).append(status)
        with self.path.open("a") as file:
            file.write(f"{ident} {status}\n")

    @property
    def acknowledged(self) -> set[str]:
        return {ident for ident, answers in self.answers.items() if any(200 <= status < 300 for status in answers)}

    @property
    def attempts(self) -> list[int]:
        return [status for answers in self.answers.values() for status in answers]

    def share(self, *statuses: int) -> float:
        """Of all attempts."""
        return sum(status in statuses for status in self.attempts) / len(self.attempts)


@dataclass
class Client:
    base_url: str
    key: str
    ledger: Ledger

    @property
    def key_prefix(self) -> str:
        """How the audit trail names the key."""
        return self.key.partition(".")[0]

    def open(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100)
        return httpx2.AsyncClient(base_url=self.base_url, headers=headers, timeout=20, limits=limits)

    async def post(self, session: httpx2.AsyncClient, body: dict[str, Any]) -> int:
        """Posts until there is an answer that is final; returns it. Asserts that what is not final may be asked again."""
        content, deadline = msgspec.json.encode(body), asyncio.get_running_loop().time() + GIVE_UP_S
        while True:
            try:
                answer = await session.post("/v1/transactions", content=content)
                status = answer.status_code
                self.ledger.hasty += status == 503 and "retry-after" not in answer.headers
            except httpx2.TransportError:
                status = CUT
            self.ledger.note(body["id"], status)
            if status not in AGAIN:
                return status
            assert asyncio.get_running_loop().time() < deadline, f"{body['id']}: {self.ledger.answers[body['id']][-5:]}"
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def post_all(self, bodies: Iterable[dict[str, Any]], per_second: float) -> list[int]:
        """At this rate, whatever the answers take; final answers in order."""
        loop = asyncio.get_running_loop()
        async with self.open() as session, asyncio.TaskGroup() as group:
            tasks, start = [], loop.time()
            for place, body in enumerate(bodies):
                await asyncio.sleep(max(0.0, start + place / per_second - loop.time()))
                tasks.append(group.create_task(self.post(session, body)))
        return [task.result() for task in tasks]


def payments(prefix: str, count: int, customers: int, seed: int) -> list[dict[str, Any]]:
    """Nothing but the customer, his device and his shop is shared, so that the order among customers changes no feature.

    customers = count gives every payment a customer of its own: then no order does.
    """
    draw, first = random.Random(f"{prefix} {seed}"), datetime(2026, 1, 31, 9, tzinfo=UTC)
    owners = list(range(count)) if customers == count else [draw.randrange(customers) for _ in range(count)]
    return [
        {
            "id": f"{prefix}-{seed}-{number}",
            "occurred_at": (first + timedelta(seconds=number)).isoformat(),
            "amount": f"{draw.randint(100, 150_000) / 100:.2f}",
            "currency": "EUR",
            "customer_id": f"{prefix}-{seed}-c{owner}",
            "merchant_id": f"{prefix}-{seed}-m{owner}",
            "device_id": f"{prefix}-{seed}-d{owner}",
        }
        for number, owner in enumerate(owners)
    ]


def duplicated(bodies: Sequence[dict[str, Any]], share: float, seed: int) -> list[dict[str, Any]]:
    """Shuffled, with this share of them there twice."""
    draw = random.Random(seed)
    again = draw.sample(list(bodies), int(len(bodies) * share))
    mixed = [*bodies, *again]
    draw.shuffle(mixed)
    return mixed
