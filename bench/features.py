"""Are live features those of a replay, bit for bit, on a file of real input, and what does the live call cost?

    python -m bench.features FILE.parquet --payments 200000
    python -m bench.features FILE.parquet --since 2018-05-10 --reference REFERENCE.parquet

Payments go through the API's own parsing and a private Valkey in the order of acceptance, which is not that of event time: some come late
(most by seconds, a few by days), some come again, alone or in the same batch; labels come --delay-days later, some again, some
changed. Then the same stream is replayed. With --reference the stream stays in order, and 14 features are compared with published ones
(columns named as in the Fraud Detection Handbook, beside transaction_id). Exit code 1 when anything differs.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pyarrow.parquet as pq
import redis.asyncio as redis
import typer
from rich.console import Console
from rich.progress import track

from backend.embedded import start_valkey
from backend.intake import parse_transaction
from backend.replay.mapping import LABEL, resolve
from backend.replay.payments import Canonical, bodies
from backend.replay.reading import BadRows, open_rows
from core.base.ids import SourceId
from core.base.terms import Label, LabelSource
from core.contracts.messages import LabelledPayment, Payment
from models.features.catalogue import NAMES
from models.features.offline import History, Labels, replay
from models.features.online import OnlineFeatures
from models.features.vector import FloatMatrix

DAY_MS = 86_400_000
BATCH = 256
NOW = datetime(2100, 1, 1, tzinfo=UTC)
PUBLISHED = {
    "tx_during_weekend": ("weekend", 1),
    "tx_during_night": ("night", 1),
    **{
        name.format(days): (ours.format(window), scale)
        for days, window in ((1, "24h"), (7, "7d"), (30, "30d"))
        for name, ours, scale in (
            ("customer_id_nb_tx_{}day_window", "customer_velocity_{}_count", 1),
            ("customer_id_avg_amount_{}day_window", "customer_velocity_{}_mean", 100),
            ("terminal_id_nb_tx_{}day_window", "merchant_labels_{}", 1),
            ("terminal_id_risk_{}day_window", "merchant_risk_{}", 1),
        )
    },
}
"""Published column -> our feature, and what it is divided by."""


@dataclass(frozen=True)
class Stream:
    payments: list[Payment]
    labels: Labels

    def label(self, record: int) -> LabelledPayment:
        payment = self.payments[self.labels.payment[record]]
        names = set(LabelledPayment.__struct_fields__) & set(Payment.__struct_fields__)
        return LabelledPayment(
            transaction_uid=payment.uid,
            label=Label.FRAUD if self.labels.is_fraud[record] else Label.LEGITIMATE,
            label_source=LabelSource.CHARGEBACK,
            reported_at_ms=int(self.labels.reported_at_ms[record]),
            **{name: getattr(payment, name) for name in names},
        )

    def history(self) -> History:
        def column(name: str) -> list[object]:
            return [getattr(payment, name) for payment in self.payments]

        kinds = ("customer", "card", "merchant", "device")
        return History.of(
            np.array(column("occurred_at_ms")), np.array(column("amount_minor")), column("currency"), self.labels,
            category=column("merchant_category"), country=column("merchant_country"),
            billing_country=column("billing_country"), latitude=np.array(column("latitude"), dtype=np.float64),
            longitude=np.array(column("longitude"), dtype=np.float64), ip=column("ip"),
            **{kind: column(f"{kind}_id") for kind in kinds},
        )  # fmt: skip


def read(path: Path, since: datetime | None, most: int, delay_days: int, *, disorder: bool, seed: int) -> Stream:
    """Payments as the API would take them, in the order of acceptance."""
    random = np.random.default_rng(seed)
    parsed, fraud = [], []
    for body, is_fraud in _bodies(path, since, most):
        parsed.append(parse_transaction(msgspec.json.encode(body), SourceId("bench"), NOW).payment)
        fraud.append(is_fraud)
    occurred = np.array([payment.occurred_at_ms for payment in parsed])
    arrival = np.arange(len(parsed), dtype=np.float64)
    if disorder:
        late = random.random(len(parsed))
        arrival += np.where(late < 0.02, random.exponential(50, len(parsed)), 0)
        arrival += np.where(late > 0.998, random.exponential(20_000, len(parsed)), 0)
    order = np.argsort(arrival, kind="stable")
    payments, truth, occurred = [parsed[row] for row in order], np.array(fraud)[order], occurred[order]
    rows = np.flatnonzero(truth >= 0)
    reported, said = occurred[rows] + delay_days * DAY_MS, truth[rows] == 1
    if disorder:
        again = random.integers(0, len(rows), len(rows) // 20)
        changed = random.random(len(again)) < 0.3
        rows = np.concatenate([rows, rows[again]])
        reported = np.concatenate([reported, reported[again] + random.integers(0, 3, len(again)) * DAY_MS])
        said = np.concatenate([said, said[again] ^ changed])
    return Stream(payments, Labels.on_time(occurred, rows, reported, said))


def _bodies(path: Path, since: datetime | None, most: int) -> Iterator[tuple[dict[str, object], int]]:
    rows = open_rows(path)
    canonical = Canonical(resolve(rows.columns, {}), "EUR", "UTC")
    from_ms = -(2**62) if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1000)
    taken = 0
    for batch in canonical.payments(rows, BadRows()):
        times = np.asarray(batch.column("occurred_ms"))
        kept = batch.slice(int(np.searchsorted(times, from_ms)))
        for body, label in zip(bodies(kept), kept.column(LABEL).to_pylist(), strict=True):
            if taken == most:
                return
            taken += 1
            yield body, -1 if label is None else int(label)


async def play(stream: Stream, answered_from: int, *, disorder: bool, seed: int) -> tuple[FloatMatrix, float, int]:
    """Vectors from row `answered_from` on, seconds of the live calls, payments that came again."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        valkey = await start_valkey(Path(folder))
        try:
            async with redis.from_url(valkey.url) as client:
                features = OnlineFeatures(client)
                await features.begin_generation()
                await features.publish_generation()
                return await _deliver(features, stream, answered_from, random if disorder else None)
        finally:
            await valkey.stop()


async def _deliver(
    features: OnlineFeatures, stream: Stream, answered_from: int, random: np.random.Generator | None
) -> tuple[FloatMatrix, float, int]:
    payments, position = stream.payments, stream.labels.position
    answers, seconds, again = np.full((len(payments) - answered_from, len(NAMES)), np.inf), 0.0, 0
    record = 0
    for row in track(range(0, len(payments), BATCH), "live", console=Console(stderr=True)):
        end, start = min(row + BATCH, len(payments)), row
        while start < end:
            due = int(np.searchsorted(position, start, side="right"))
            if due > record:
                await features.record_labels([stream.label(taken) for taken in range(record, due)])
                record = due
            until = min(end, int(position[record])) if record < len(position) else end
            batch = payments[start:until]
            if until <= answered_from:
                await features.backfill(batch)
            else:
                repeated = (
                    []
                    if random is None
                    else [payments[i] for i in random.integers(max(0, until - 5_000), until, len(batch) // 16)]
                )
                began = time.perf_counter()
                found = await features.vectors([*batch, *repeated])
                seconds += time.perf_counter() - began
                again += len(repeated)
                answers[max(start - answered_from, 0) : until - answered_from] = found[
                    max(answered_from - start, 0) : len(batch)
                ]
            start = until
    return answers, seconds, again


def main(
    path: Path,
    payments: Annotated[int, typer.Option(help="Most payments.")] = 200_000,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Published features of some of the payments.")] = None,
    delay_days: int = 7,
    seed: int = 7,
) -> None:
    console, disorder = Console(), reference is None
    stream = read(path, since, payments if disorder else 10**9, delay_days, disorder=disorder, seed=seed)
    answered_from, last = 0, len(stream.payments)
    published = None
    if reference is not None:
        published = pq.read_table(reference)
        row_of = {payment.transaction_id: row for row, payment in enumerate(stream.payments)}
        wanted = np.array([row_of[str(ident)] for ident in published["transaction_id"].to_pylist()])
        answered_from, last = int(wanted.min()), int(wanted.max()) + 1
    stream = Stream(stream.payments[:last], _before(stream.labels, last))
    live, seconds, again = asyncio.run(play(stream, answered_from, disorder=disorder, seed=seed))
    began = time.perf_counter()
    replayed = replay(stream.history(), keep_from=answered_from)
    took = time.perf_counter() - began
    different = ~((live == replayed) | (np.isnan(live) & np.isnan(replayed)))
    late = int((np.diff([payment.occurred_at_ms for payment in stream.payments]) < 0).sum())
    console.print(
        f"{len(live):,} vectors of {len(NAMES)} features, {late:,} payments out of order, {again:,} delivered again, "
        f"{len(stream.labels.position):,} labels: {int(different.any(axis=1).sum()):,} vectors differ"
    )
    live_ms, speed = seconds / (len(live) + again) * 1000, len(stream.payments) / took
    console.print(f"live {live_ms:.3f} ms a payment in batches of up to {BATCH}; replay {speed:,.0f} payments/s")
    wrong = int(different.any(axis=1).sum())
    if published is not None:
        wrong += _compare(console, live[wanted - answered_from], published)
    sys.exit(1 if wrong else 0)


def _before(labels: Labels, payments: int) -> Labels:
    kept = (labels.position < payments) & (labels.payment < payments)
    return Labels(labels.payment[kept], labels.reported_at_ms[kept], labels.is_fraud[kept], labels.position[kept])


def _compare(console: Console, live: FloatMatrix, published: "pq.Table") -> int:
    """Rows that differ from the published ones by more than 1e-6 in any column."""
    wrong = np.zeros(len(live), dtype=bool)
    for name, (ours, scale) in PUBLISHED.items():
        wrong |= np.abs(live[:, NAMES.index(ours)] / scale - published[name].to_numpy()) > 1e-6
    console.print(f"{len(PUBLISHED)} published features, {len(live):,} rows: {1 - wrong.mean():.4%} equal to 1e-6")
    return int(wrong.sum())


if __name__ == "__main__":
    typer.run(main)
