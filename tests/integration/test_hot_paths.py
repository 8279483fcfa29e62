"""No page reads much of a big table: every statement that the console's pages run is run again, and the rows it touches are counted.

Where an index can serve, PostgreSQL is told to take it: of a test's few rows it would rightly read all, of a million it would not.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Engine, event

from core.acts import people
from core.acts.audit import system
from core.base.settings import Settings
from core.base.terms import Role
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from core.stores import queue_counts
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from tests.integration.conftest import Api
from tests.integration.console_browser import Browser, a_user, browser
from tests.servers import run_sql
from workers.seal import connect_sealer, seal_all

ROWS, EVERY = 20_000, 2
"""Payments, of which every so-manieth is an alert; one alert in ten is open."""
MANY = f"""
    INSERT INTO transaction (uid, source_id, transaction_id, occurred_at, accepted_at, amount_minor, currency, customer_id, card_id,
        merchant_id, merchant_category, merchant_country, device_id, ip, email_hash, attributes, imported)
    SELECT uuidv7(), 'crowd', 't' || n, now() - n * interval '1 minute', now() - n * interval '1 minute', 100 + n, 'EUR',
        'customer_' || n % 500, 'card_' || n % 500, 'merchant_' || n % 40, '5411', 'PT', 'device_' || n % 600,
        '10.0.' || n % 7 || '.' || n % 200, 'mail_' || n % 500, '{{}}', false
    FROM generate_series(1, {ROWS}) AS n;
    INSERT INTO transaction_key (transaction_id, source_id, uid, body_sha) SELECT transaction_id, source_id, uid, 'x' FROM transaction;
    INSERT INTO decision (transaction_uid, version, outcome, score, margin, base_margin, reasons, contributions, rule_hits, model_id,
        policy_version, catalogue_version, features, features_status, decided_at)
    SELECT uid, 1, CASE WHEN amount_minor % {EVERY} = 0 THEN 'review' ELSE 'approve' END, 0.4, 0.1, 0.1, '[]',
        array_fill(0.0, ARRAY[{len(NAMES)}]), '[]', NULL, 1, {CATALOGUE_VERSION},
        array_fill(0.0, ARRAY[{len(NAMES)}]), 'complete', accepted_at
    FROM transaction;
    INSERT INTO alert (id, transaction_uid, status, outcome, score, expected_loss_minor, amount_minor, currency, customer_id, merchant_id,
        top_reason, occurred_at, opened_at, version)
    SELECT uuidv7(), uid, CASE WHEN amount_minor % 20 = 0 THEN 'open' ELSE 'closed' END, 'review', 0.4, amount_minor / 2,
        amount_minor, 'EUR', customer_id, merchant_id, 'seven payments on this device', occurred_at, accepted_at, 1
    FROM transaction WHERE amount_minor % {EVERY} = 0;
    INSERT INTO label (id, transaction_uid, label, label_source, reported_at, received_at, actor_type, actor_id)
    SELECT uuidv7(), transaction_uid, 'fraud', 'analyst', opened_at, opened_at, 'user', 'x' FROM alert WHERE status = 'closed';
    INSERT INTO note (id, alert_id, author_id, body, written_at)
    SELECT uuidv7(), id, (SELECT id FROM app_user LIMIT 1), 'seen', opened_at FROM alert WHERE status = 'closed';
    INSERT INTO audit_event (event_id, actor_type, actor_id, action, subject_type, subject_id, result, detail, written_at, leaf)
    SELECT uuidv7(), 'system', 'score', 'decision.make', 'transaction', uid::text, 'done', '{{}}', accepted_at, 'x' FROM transaction;
    ANALYZE
"""
SHARE = 0.3
"""Of a table's rows: the most that one statement may touch. A tenth of the alerts is open, and may be counted."""
PAGES = [
    "/overview",
    "/settings",
    "/alerts/{alert}/similar",
    "/alerts/{alert}/dossier",
    "/entities/customer/customer_17",
    "/entities/merchant/merchant_3",
    "/entities/device/device_5",
    "/labels",
    "/labels?source=chargeback",
    "/lists",
    "/jump?q=customer_17",
    "/audit?action=decision.make",
    "/alerts/{alert}/timeline",
    "/transactions",
    "/queue",
    "/queue?status=closed",
    "/queue?order=due",
    "/queue?status=any&order=amount&outcome=review&amount_from=100",
    "/queue?status=any&q=customer_1",
    "/queue?merchant=merchant_3&status=any",
    "/queue?status=mine",
    "/alerts/{alert}",
    "/transactions?customer=customer_17",
    "/transactions/{transaction}",
    "/audit?actor=system:score",
    "/audit?object=alert:{alert}",
    "/audit",
    "/models",
    "/dead-letters",
]


BOUND = 1_000
"""In place of the many thousands that the queue counts in: on so few rows those would be all."""


@pytest.fixture
async def crowded(
    api: Api, resources: Resources, settings: Settings, postgres_url: str
) -> AsyncIterator[tuple[Browser, dict[str, str]]]:
    """Signed in, with much to show; and what stands for the pages' placeholders."""
    lead = await a_user(resources, Role.LEAD)
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, "crowd", "A crowd", system("test"))
    await run_sql(postgres_url, MANY)
    sealer = connect_sealer(settings)
    await seal_all(sealer, keys_of(settings, CHECKPOINTS))
    await sealer.close()
    connection = await asyncpg.connect(postgres_url)
    row = await connection.fetchrow("SELECT id, transaction_uid FROM alert WHERE status = 'open' LIMIT 1")
    await connection.close()
    async with browser(api) as tab:
        await tab.sign_in(lead)
        yield tab, {"alert": str(row["id"]), "transaction": str(row["transaction_uid"])}


@contextmanager
def statements_run() -> Iterator[dict[str, Any]]:
    """Each statement with its values, as it goes to the driver."""
    seen: dict[str, Any] = {}

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            seen[statement] = parameters

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@dataclass(frozen=True)
class Scan:
    """One table's part in a plan. `touched`: rows it read, also those it dropped."""

    table: str
    kind: str
    touched: float


def scans(plan: dict[str, Any]) -> Iterator[Scan]:
    if "Relation Name" in plan:
        dropped = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        yield Scan(plan["Relation Name"], plan["Node Type"], (plan["Actual Rows"] + dropped) * plan["Actual Loops"])
    for part in plan.get("Plans", []):
        yield from scans(part)


def shortened(statement: str) -> str:
    """Without its list of columns."""
    words = " ".join(statement.split())
    return words if len(words) < 300 else f"{words[:60]} ... {words[words.index(' FROM ') :]}"


async def test_no_page_reads_much_of_a_big_table(
    crowded: tuple[Browser, dict[str, str]], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab, known = crowded
    monkeypatch.setattr(queue_counts, "COUNTED", BOUND)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("SET enable_seqscan = off; SET random_page_cost = 1.1")
    rows = await connection.fetch("SELECT relname, reltuples FROM pg_class WHERE reltuples >= 1000")
    most = {name: count * SHARE for name, count in rows}
    assert {"alert", "label"} < most.keys()
    found = []
    for pattern in PAGES:
        path = pattern.format(**known)
        with statements_run() as statements:
            assert (await tab.client.get(path)).status_code == 200, path
        assert statements, f"{path} ran nothing"
        for statement, values in statements.items():
            if "WITH undecided" in statement:  # of the backlog, which is counted beside the requests
                continue
            plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *(values or ()))
            found += [
                f"{path}: {scan}: {shortened(statement)}"
                for scan in scans(json.loads(plan)[0]["Plan"])
                if scan.table in most and (scan.kind == "Seq Scan" or scan.touched > most[scan.table])
            ]
    await connection.close()
    assert not found, "\n\n".join(found)
