"""Synthetic history in real PostgreSQL and Valkey, and a file replayed through the real API, bus and workers."""

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from sqlalchemy import text

from backend import synthetic
from backend.demo import load_history
from backend.replay.options import ReplayOptions
from backend.replay.running import replay
from core.acts import people
from core.acts.audit import system
from core.base.clock import from_ms, to_ms
from core.base.ids import new_uuid
from core.base.terms import Label
from core.infra.resources import Resources
from core.stores import accepting, casework
from models.features.catalogue import NAMES
from models.features.online import OnlineFeatures
from tests.integration.conftest import Api
from workers.roster import JOBS
from workers.runner import JobContext

UNTIL = datetime.now(UTC) - timedelta(hours=1)


async def counts(resources: Resources) -> tuple[int, int, int]:
    """(imported transactions, labels, imports on the audit trail)"""
    query = (
        "SELECT (SELECT count(*) FROM transaction WHERE imported), (SELECT count(*) FROM label), "
        "(SELECT count(*) FROM audit_event WHERE action = 'history.import')"
    )
    async with resources.postgres.reading() as work:
        row = (await work.run(text(query))).one()
    return row[0], row[1], row[2]


async def test_history_is_stored_once_and_its_features_are_known(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, synthetic.SOURCE, "Synthetic", system("test"))
    past = synthetic.history(days=20, per_day=150, until=UNTIL, seed=4)
    steps: list[tuple[float, str]] = []
    new = await load_history(resources, past, lambda share, words: steps.append((share, words)))
    assert new == len(past.payments)
    stored = await counts(resources)
    assert stored[:2] == (len(past.payments), len(past.labels))
    assert stored[2] > 0
    assert list(dict.fromkeys(words for _, words in steps)) == [
        "storing synthetic history", "storing its labels", "building the features",
    ]  # fmt: skip
    assert all(0 <= share <= 1 for share, _ in steps)

    assert await load_history(resources, past, lambda _share, _words: None) == 0
    assert await counts(resources) == stored

    often = max(past.payments, key=lambda one: sum(one.customer_id == p.customer_id for p in past.payments))
    theirs = [p for p in past.payments if p.customer_id == often.customer_id]
    next_one = msgspec.structs.replace(often, uid=new_uuid(), occurred_at_ms=to_ms(UNTIL))
    [vector] = await OnlineFeatures(resources.redis).vectors([next_one])
    assert vector[NAMES.index("customer_earlier_payments")] == min(len(theirs), 50)
    assert vector[NAMES.index("customer_velocity_30d_count")] == len(theirs) + 1
    fraud = next(label for label in past.labels if label.label is Label.FRAUD)
    victim = next(p for p in past.payments if p.transaction_id == fraud.transaction_id)
    again = msgspec.structs.replace(victim, uid=new_uuid(), occurred_at_ms=to_ms(fraud.reported_at) + 1)
    [vector] = await OnlineFeatures(resources.redis).vectors([again])
    assert vector[NAMES.index("customer_frauds_7d")] >= 1

    async with resources.postgres.reading() as work:
        row = await accepting.transaction_by_key(work, synthetic.SOURCE, victim.transaction_id)  # type: ignore[arg-type]
        assert row is not None
        assert row.imported
        assert Label.FRAUD.value in {label.label for label in await casework.labels_of(work, row.uid)}


def file_of(folder: Path, past: synthetic.SyntheticHistory) -> Path:
    path = folder / "past.ndjson"
    with path.open("w") as out:
        for payment in past.payments:
            row = {
                "transaction_id": payment.transaction_id,
                "occurred_at": from_ms(payment.occurred_at_ms).isoformat(),
                "amount": payment.amount_minor / 100,
                "customer_id": f"file_{payment.customer_id}",  # not those of the history in the same feature state
                "card_id": payment.card_id,
                "merchant_id": payment.merchant_id,
                "device_id": payment.device_id,
                "ip": payment.ip,
                "is_fraud": payment.transaction_id in past.frauds,
            }
            out.write(json.dumps(row) + "\n")
    return path


async def test_a_file_is_replayed_through_the_real_system(api: Api, resources: Resources, tmp_path: Path) -> None:
    """Every payment is accepted once, decided once, with the features its event time gives it; every label is taken."""
    past = synthetic.history(days=4, per_day=150, until=UNTIL, seed=9)
    options = ReplayOptions(
        file=file_of(tmp_path, past),
        url=str(api.client.base_url),
        key=api.key,
        source=api.source,
        batch=20,
        concurrency=2,
        label_delay=timedelta(hours=12),
    )
    context = JobContext(resources, asyncio.Event())
    jobs = [asyncio.create_task(JOBS[name](context)) for name in ("score", "relay", "feedback")]
    try:
        report = await replay(options, Console(file=io.StringIO()))
        again = await replay(options, Console(file=io.StringIO()))
    finally:
        context.stopping.set()
        await asyncio.gather(*jobs)
    count = len(past.payments)
    assert (report.accepted, report.replayed, report.conflicts, report.invalid) == (count, 0, 0, 0)
    assert (again.accepted, again.replayed) == (0, count)
    assert report.labels == {"recorded": count}
    assert again.labels == {"replayed": count}
    assert report.decisions is not None
    assert (report.decisions.decided, report.decisions.undecided) == (count, 0)
    assert await customer_counts(resources, api.source) == expected_counts(past)


async def customer_counts(resources: Resources, source: str) -> dict[str, float]:
    """The feature as it was scored: payments of the customer within 30 days, by transaction."""
    place = NAMES.index("customer_velocity_30d_count") + 1
    query = (
        f"SELECT t.transaction_id, d.features[{place}] FROM decision d JOIN transaction t ON t.uid = d.transaction_uid "
        "WHERE t.source_id = :source"
    )
    async with resources.postgres.reading() as work:
        return {row[0]: row[1] for row in await work.run(text(query).bindparams(source=source))}


def expected_counts(past: synthetic.SyntheticHistory) -> dict[str, float]:
    seen: dict[str, int] = {}
    expected = {}
    for payment in past.payments:
        seen[payment.customer_id] = seen.get(payment.customer_id, 0) + 1
        expected[payment.transaction_id] = float(np.float64(seen[payment.customer_id]))
    return expected
