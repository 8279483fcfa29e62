"""The payments that are sent: synthetic ones, in their usual mix of honest payments and frauds, prepared as requests."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from backend.bench.wire import request_bytes
from backend.first_run import PER_DAY
from backend.synthetic import continued

BEGINS_BEFORE = timedelta(days=12_000)
"""The event time of the first payment: early enough that no measure reaches the present, where a payment is refused. For each of
`MOST_SECONDS`, the whole pipeline and its growth are sent what the stream's customers pay in 530 days.
"""
WHOLE_FROM = timedelta(days=120)
"""Where the payments of the whole pipeline begin in event time; before them are the ones for the stages alone."""

_json = msgspec.json.Encoder()


@dataclass(frozen=True)
class Requests:
    """`idents`: the transaction of each request, where each carries one."""

    raw: Sequence[bytes]
    idents: Sequence[str] = ()


@dataclass
class Workload:
    """An endless supply; every payment is handed out once."""

    key: str
    bodies: Iterator[dict[str, Any]]

    @classmethod
    def synthetic(cls, key: str, seed: int, begin: datetime) -> "Workload":
        """However fast it is sent, its customers pay as often in event time as they did in their history: features and alerts are
        those of a real stream.
        """
        return cls(key, continued(seed=seed, since=begin, per_day=PER_DAY))

    def spread(self, seed: int, entities: int) -> "Workload":
        """The next of these payments, over so many customers, cards and devices, each as likely as the other.

        Two of them from one stream take turns in it, so that all payments of a merchant still come in the order of their time.
        """
        rng = np.random.default_rng([seed, entities])
        named = ("customer", "card", "device")

        def bodies() -> Iterator[dict[str, Any]]:
            for body in self.bodies:
                who = int(rng.integers(entities))
                names = {f"{kind}_id": f"{kind}_{who:08d}" for kind in named if f"{kind}_id" in body}
                yield {**body, "id": f"spread_{body['id']}", **names}

        return Workload(self.key, bodies())

    def take(self, count: int) -> list[dict[str, Any]]:
        return list(itertools.islice(self.bodies, count))

    def singles(self, count: int, prefer: str = "") -> Requests:
        bodies = self.take(count)
        return Requests(
            [
                request_bytes(
                    "/v1/transactions", _json.encode(body), key=self.key, content_type="application/json", prefer=prefer
                )
                for body in bodies
            ],
            [body["id"] for body in bodies],
        )

    def batches(self, count: int, size: int) -> Requests:
        """`count` requests of `size` payments."""
        return Requests(
            [
                request_bytes(
                    "/v1/transactions/batch",
                    _json.encode_lines(self.take(size)),
                    key=self.key,
                    content_type="application/x-ndjson",
                )
                for _ in range(count)
            ]
        )


def begin_before(now: datetime) -> datetime:
    return now - BEGINS_BEFORE
