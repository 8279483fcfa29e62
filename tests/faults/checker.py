"""What must hold after any fault: nothing acknowledged is lost, nothing is decided twice, no score is another one."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from sqlalchemy import text

from backend import feature_check
from core.contracts.messages import ScoreBatch, decode
from core.infra.resources import Resources
from models.scoring.scorer import Scorer
from tests.faults.client import Ledger
from tests.faults.system import HOME, System, environment_of

SETTLE_S = 120.0


@dataclass(frozen=True)
class Account:
    """The counts of one run over one source.

    lost: acknowledged and not stored. open: stored, neither decided nor dead. doubled: decided or alerted more than once.
    differing: scored otherwise than without faults, be it the features or what the model made of them.
    """

    seed: int
    faults: str
    sent: int
    acknowledged: int
    accepted: int
    decided: int
    degraded: int
    dead: int
    open: int
    lost: int
    doubled: int
    differing: int
    alerts: int
    audit: str
    settled_s: float

    def words(self) -> str:
        counts = ", ".join(f"{field.name} {getattr(self, field.name)}" for field in fields(self)[2:])
        return f"seed {self.seed}: {self.faults}\n{counts}"

    def check(self) -> None:
        """Raises AssertionError unless every promise was kept."""
        kept = (self.lost, self.open, self.dead, self.doubled, self.differing, self.audit) == (0, 0, 0, 0, 0, "whole")
        assert kept, self
        assert self.accepted == self.decided + self.dead, self


async def rows(resources: Resources, query: str, **values: Any) -> Sequence[Any]:
    async with resources.postgres.reading() as work:
        return (await work.run(text(query), values)).all()


async def account(
    seed: int, system: System, resources: Resources, ledger: Ledger, source: str, scorer: Scorer
) -> Account:
    """Waits until nothing is on its way any more, then counts."""
    settled_s = await settled(resources, source)
    found = await rows(
        resources,
        "SELECT t.transaction_id, count(d.version) AS versions, min(d.features_status) AS status FROM transaction t "
        "LEFT JOIN decision d ON d.transaction_uid = t.uid WHERE t.source_id = :source GROUP BY t.uid, t.transaction_id",
        source=source,
    )
    stored = {row.transaction_id for row in found}
    dead = await dead_letters(resources)
    alerts = await rows(
        resources,
        "SELECT count(*) AS alerts, count(DISTINCT transaction_uid) AS payments FROM alert a "
        "JOIN transaction t ON t.uid = a.transaction_uid WHERE t.source_id = :source",
        source=source,
    )
    return Account(
        seed=seed,
        faults=", ".join(f"{count} {what}" for what, count in sorted(system.faults.items())) or "none",
        sent=len(ledger.answers),
        acknowledged=len(ledger.acknowledged),
        accepted=len(found),
        decided=sum(row.versions > 0 for row in found),
        degraded=sum(row.status == "degraded" for row in found),
        dead=len(stored & dead),
        open=sum(row.versions == 0 and row.transaction_id not in dead for row in found),
        lost=len(ledger.acknowledged - stored),
        doubled=sum(row.versions > 1 for row in found)
        + len(found)
        - len(stored)
        + alerts[0].alerts
        - alerts[0].payments,
        differing=await differing(resources, source, scorer),
        alerts=alerts[0].alerts,
        audit=await audit(system),
        settled_s=round(settled_s, 1),
    )


async def settled(resources: Resources, source: str) -> float:
    """Seconds until every payment is decided or dead and the outbox is empty; SETTLE_S when that did not come."""
    loop, query = (
        asyncio.get_running_loop(),
        (
            "SELECT (SELECT count(*) FROM transaction t LEFT JOIN decision d ON d.transaction_uid = t.uid "
            "WHERE t.source_id = :source AND d.version IS NULL) + (SELECT count(*) FROM outbox WHERE sent_at IS NULL) AS open"
        ),
    )
    start = loop.time()
    while loop.time() < start + SETTLE_S:
        if (await rows(resources, query, source=source))[0].open == 0:
            break
        await asyncio.sleep(0.2)
    return loop.time() - start


async def dead_letters(resources: Resources) -> set[str]:
    """Ids of payments in messages that nobody could handle."""
    found = await rows(resources, "SELECT body FROM dead_letter")
    messages = [decode(bytes(row.body)) for row in found]
    return {p.transaction_id for message in messages if isinstance(message, ScoreBatch) for p in message.payments}


async def differing(resources: Resources, source: str, scorer: Scorer) -> int:
    """Features against a replay of what was accepted, in the order it was; scores against the same model beside the system."""
    unequal = (await feature_check.check(resources)).unequal
    found = await rows(
        resources,
        "SELECT d.features, d.margin FROM decision d JOIN transaction t ON t.uid = d.transaction_uid "
        "WHERE t.source_id = :source AND d.features_status = 'complete'",
        source=source,
    )
    if not found:
        return unequal
    matrix = np.array([row.features for row in found], dtype=np.float64)
    margins = np.array([row.margin for row in found], dtype=np.float64)
    return unequal + int((scorer.score(matrix).margin != margins).sum())


async def audit(system: System) -> str:
    """`ronda audit verify`: "whole", or what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backend", "audit", "verify", "--json"),
        cwd=HOME,
        env=environment_of(system.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode == 0 and json.loads(output)["whole"]:
        return "whole"
    return (output or errors).decode(errors="replace")[-500:]
