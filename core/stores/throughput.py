"""What became of the payments accepted since a moment: the reconciliation of a load."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from core.infra.postgres import Postgres, UnitOfWork


@dataclass(frozen=True)
class Fate:
    """One posted payment. `decisions`: how often version 1 was stored; 1 = as it should be."""

    transaction_id: str
    uid: UUID
    decisions: int
    degraded: bool
    alerts: int


async def fates(work: UnitOfWork, since: datetime, *, limit: int) -> list[Fate]:
    """Of posted payments accepted from `since` on, in no order."""
    query = text(
        "SELECT t.transaction_id, t.uid, count(d.version) FILTER (WHERE d.version = 1), "
        "coalesce(bool_or(d.features_status <> 'complete'), false), "
        "(SELECT count(*) FROM alert a WHERE a.transaction_uid = t.uid) "
        "FROM transaction t LEFT JOIN decision d ON d.transaction_uid = t.uid "
        "WHERE t.accepted_at >= :since AND NOT t.imported GROUP BY t.transaction_id, t.uid LIMIT :limit"
    )
    return [Fate(*row) for row in await work.run(query, {"since": since, "limit": limit})]


async def tidy_up(postgres: Postgres) -> None:
    """After many rows came at once: what the server's own housekeeping would do beside the work that follows. Only the owner may."""
    async with postgres.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            await connection.execute(text(statement))
