"""A replay over real HTTP: order of payments and labels, repeats, refusals, and the report."""

import io
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from rich.console import Console

from backend.replay import running
from backend.replay.client import open_api
from backend.replay.options import ReplayOptions
from backend.replay.report import ReplayReport
from backend.replay.running import replay
from core.base.errors import BadApiKey, InvalidInput, Unavailable
from models.scoring.ranking import ranking
from tests.unit.backend.small_api import KEY, SmallApi, serving

DAY = timedelta(days=1)
START = datetime(2020, 1, 1)


@pytest.fixture
async def api() -> AsyncIterator[SmallApi]:
    async with serving(SmallApi()) as api:
        yield api


def made_rows(count: int, customers: int = 7, spacing_minutes: float = 10) -> list[dict[str, Any]]:
    chance = random.Random(count)
    return [
        {
            "transaction_id": n,
            "occurred_at": START + timedelta(minutes=n * spacing_minutes),
            "amount": round(chance.uniform(1, 999), 2),
            "customer_id": f"c{chance.randrange(customers)}",
            "is_fraud": int(chance.random() < 0.1),
        }
        for n in range(count)
    ]


def parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "payments.parquet"
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


async def run(api: SmallApi, file: Path, **more: Any) -> ReplayReport:
    options: dict[str, Any] = {"key": KEY, "batch": 5, "concurrency": 3, "wait_s": 2.0} | more
    return await replay(ReplayOptions(file=file, url=api.url, **options), Console(file=io.StringIO()))


def order_of(api: SmallApi, kind: str) -> list[dict[str, Any]]:
    return [body for entry, body in api.log if entry == kind]


async def test_everything_arrives_and_the_report_says_so(api: SmallApi, tmp_path: Path) -> None:
    rows = made_rows(400)
    report = await run(api, parquet(tmp_path, rows))
    assert (report.payments, report.accepted, report.replayed, report.conflicts, report.invalid) == (400, 400, 0, 0, 0)
    assert report.labels == {"recorded": 400}
    assert len(api.payments) == 400
    assert report.decisions is not None
    assert (report.decisions.decided, report.decisions.undecided) == (400, 0)
    above = [sum(low <= row["amount"] / 1000 < high for row in rows) for low, high in ((0, 0.5), (0.5, 0.9), (0.9, 1))]
    assert list(report.decisions.outcomes.values()) == above
    assert report.decisions.alerts == above[1] + above[2]
    assert report.as_json()["decisions"]["outcomes"]["review"] == above[1]
    assert report.unused_columns == []


async def test_a_customers_payments_stay_in_order_whatever_is_in_flight(api: SmallApi, tmp_path: Path) -> None:
    api.jitter_s = 0.02
    rows = made_rows(300, customers=20)
    await run(api, parquet(tmp_path, rows), concurrency=6, labels=False)
    arrived: dict[str, list[str]] = defaultdict(list)
    wanted: dict[str, list[str]] = defaultdict(list)
    for body in order_of(api, "payment"):
        arrived[body["customer_id"]].append(body["id"])
    for row in rows:
        wanted[row["customer_id"]].append(str(row["transaction_id"]))
    assert arrived == wanted
    # Without parallel requests the test above would prove nothing.
    assert order_of(api, "payment") != sorted(order_of(api, "payment"), key=lambda body: int(body["id"]))


@pytest.mark.parametrize("delay", [timedelta(minutes=25), timedelta(hours=3), DAY])
async def test_every_label_due_by_a_payments_time_is_stored_before_it(
    api: SmallApi, tmp_path: Path, delay: timedelta
) -> None:
    api.jitter_s = 0.01
    rows = made_rows(200)
    await run(api, parquet(tmp_path, rows), label_delay=delay)
    due = {str(row["transaction_id"]): row["occurred_at"] + delay for row in rows}
    known: set[str] = set()
    posted: set[str] = set()
    for kind, body in api.log:
        if kind == "label":
            assert body["transaction_id"] in posted
            assert datetime.fromisoformat(body["reported_at"]).replace(tzinfo=None) == due[body["transaction_id"]]
            known.add(body["transaction_id"])
            continue
        moment = datetime.fromisoformat(body["occurred_at"]).replace(tzinfo=None)
        late = {ident for ident, when in due.items() if when <= moment} - known
        assert not late, f"{len(late)} labels were due before {body['id']}"
        posted.add(body["id"])
    assert known == set(due)
    labels = order_of(api, "label")
    assert labels == sorted(labels, key=lambda body: body["reported_at"])
    frauds = {str(row["transaction_id"]) for row in rows if row["is_fraud"]}
    assert {body["transaction_id"] for body in labels if body["label"] == "fraud"} == frauds
    assert {body["source"] for body in labels} == {"import"}


async def test_what_is_labelled_nothing_sends_no_label(api: SmallApi, tmp_path: Path) -> None:
    rows = [row | {"is_fraud": row["is_fraud"] if n % 2 else None} for n, row in enumerate(made_rows(40))]
    report = await run(api, parquet(tmp_path, rows))
    assert report.labels == {"recorded": 20}
    report = await run(api, parquet(tmp_path, rows), labels=False)
    assert report.labels == {}


async def test_busy_and_lost_answers_are_repeated_with_the_same_ids(api: SmallApi, tmp_path: Path) -> None:
    faults: list[str | None] = [None, "overloaded", "busy", None, "drop", "overloaded", None, "drop"]
    api.faults = faults * 6
    rows = made_rows(150)
    report = await run(api, parquet(tmp_path, rows))
    assert not api.faults
    assert report.accepted + report.replayed == 150
    assert report.replayed > 0, "an answer that got lost was given again"
    assert report.repeated_requests == 30
    taken = [body["id"] for body in order_of(api, "payment")]
    assert sorted(taken, key=int) == [str(row["transaction_id"]) for row in rows]
    assert len(api.labels) == 150
    assert report.decisions is not None
    assert report.decisions.decided == 150


async def test_retry_after_is_obeyed(api: SmallApi, tmp_path: Path) -> None:
    api.faults, api.retry_after = ["busy"], "0.4"
    report = await run(api, parquet(tmp_path, made_rows(3)), labels=False)
    assert report.posting_s >= 0.4
    assert report.repeated_requests == 1


async def test_a_second_replay_adds_nothing_and_finds_the_decisions(api: SmallApi, tmp_path: Path) -> None:
    file = parquet(tmp_path, made_rows(60))
    await run(api, file)
    again = await run(api, file)
    assert (again.accepted, again.replayed) == (0, 60)
    assert again.labels == {"replayed": 60}
    assert again.decisions is not None
    assert again.decisions.decided == 60


async def test_conflicts_and_invalid_payments_are_counted_and_named(api: SmallApi, tmp_path: Path) -> None:
    rows = [row | {"currency": "EUR"} for row in made_rows(20)]
    await run(api, parquet(tmp_path, rows), labels=False)
    rows[3]["amount"] += 1
    rows.append(rows[-1] | {"transaction_id": 99, "currency": "XXX"})
    report = await run(api, parquet(tmp_path, rows), labels=False)
    assert (report.replayed, report.conflicts, report.invalid) == (19, 1, 1)
    assert "payment 3: conflict" in report.errors
    assert "payment 99: invalid: currency: no such currency" in report.errors
    assert report.decisions is not None
    assert report.decisions.decided == 19


async def test_missing_decisions_end_the_wait_and_are_named(api: SmallApi, tmp_path: Path) -> None:
    api.decides = False
    report = await run(api, parquet(tmp_path, made_rows(30)), wait_s=0.3)
    assert report.decisions is not None
    assert (report.decisions.decided, report.decisions.undecided) == (0, 30)
    assert any("30 of 30 payments have no decision" in note for note in report.notes)
    assert len(api.labels) == 30, "the labels are sent all the same"


async def test_no_decisions_do_not_block_the_sending(api: SmallApi, tmp_path: Path) -> None:
    api.decides = False
    report = await run(api, parquet(tmp_path, made_rows(60)), wait_s=0.2, max_undecided=10)
    assert report.accepted == 60


async def test_the_quality_is_that_of_the_scores(api: SmallApi, tmp_path: Path) -> None:
    rows = made_rows(500, customers=60, spacing_minutes=15)
    api.score = lambda body: None if body["id"] == "7" else float(body["amount"]) / 1000
    report = await run(api, parquet(tmp_path, rows), batch=50, judge_since=None)
    judged = [row for row in rows if row["transaction_id"] != 7]
    times = np.array([n * 900_000 for n in range(500) if n != 7]) + int(START.timestamp() // 86400 * 86_400_000)
    expected = ranking(
        times,
        np.array([int(row["customer_id"][1:]) for row in judged]),
        np.array([row["amount"] / 1000 for row in judged]),
        np.array([bool(row["is_fraud"]) for row in judged]),
    )
    assert report.quality is not None
    assert (report.quality.payments, report.quality.frauds) == (499, sum(row["is_fraud"] for row in judged))
    assert report.quality.unscored == 1
    assert report.quality.average_precision == pytest.approx(expected.average_precision, abs=1e-12)
    assert report.quality.roc_auc == pytest.approx(expected.roc_auc, abs=1e-12)
    assert report.quality.card_precision_100 == pytest.approx(expected.card_precision_100, abs=1e-12)
    assert report.quality.days == 6


async def test_warm_up_is_not_judged(api: SmallApi, tmp_path: Path) -> None:
    rows = made_rows(288)
    since = (START + DAY).replace(tzinfo=UTC)
    report = await run(api, parquet(tmp_path, rows), judge_since=since)
    assert report.quality is not None
    assert report.quality.payments == 144


async def test_a_rate_spreads_the_payments(api: SmallApi, tmp_path: Path) -> None:
    report = await run(api, parquet(tmp_path, made_rows(30)), rate=60, labels=False)
    assert report.posting_s >= 0.25, "the second window waits its turn"
    assert max(api.batches) <= 15


async def test_one_customers_flood_is_cut_into_requests_the_api_takes(api: SmallApi, tmp_path: Path) -> None:
    rows = made_rows(1500, customers=1, spacing_minutes=0.01)
    report = await run(api, parquet(tmp_path, rows), batch=1000, concurrency=2, labels=False)
    assert report.accepted == 1500
    assert [body["id"] for body in order_of(api, "payment")] == [str(n) for n in range(1500)]


async def test_a_wrong_key_is_one_sentence(api: SmallApi, tmp_path: Path) -> None:
    with pytest.raises(BadApiKey, match="does not accept this key"):
        await run(api, parquet(tmp_path, made_rows(3)), key="rk_wrong.key")
    assert not api.payments


async def test_an_api_that_is_away_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FIRST_CONTACT_S", 0.2)
    with pytest.raises(Unavailable, match="does not answer"):
        await run(SmallApi(url="http://127.0.0.1:9"), parquet(tmp_path, made_rows(3)))


async def test_an_api_that_stays_busy_is_given_up(api: SmallApi, tmp_path: Path) -> None:
    api.faults, api.retry_after = ["overloaded"] * 1000, "0.1"
    with pytest.raises(Unavailable, match="too busy: 503 later"):
        await run(api, parquet(tmp_path, made_rows(3)), patience_s=0.5)


async def test_something_else_at_the_address_is_one_sentence(api: SmallApi, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="answered 404"):
        await run(SmallApi(url=f"{api.url}/elsewhere"), parquet(tmp_path, made_rows(3)))
    for url in ("ftp://127.0.0.1", "nonsense", "http://"):
        with pytest.raises(InvalidInput, match="not the address of an API"):
            async with open_api(url, KEY, connections=1, patience_s=1):
                pass


async def test_an_empty_span_is_one_sentence(api: SmallApi, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no payment with a readable time"):
        await run(api, parquet(tmp_path, made_rows(3)), since=datetime(2030, 1, 1, tzinfo=UTC))
