"""SQL of what a what-if takes over from other payments: what they were scored with, and the largest amounts of a window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.base.terms import FeaturesStatus
from core.infra.postgres import UnitOfWork
from core.stores.flow import ENTITY_COLUMNS
from core.tables.flow import Decision, Transaction

MOST_LATELY: Final = 400
"""Newest decisions among which others' categories and countries are looked for."""
MOST_OWN: Final = 100
"""Newest payments of the customer among which their devices are looked for."""


@dataclass(frozen=True)
class ScoredPayment:
    """A payment that was scored with all its features."""

    uid: UUID
    occurred_at: datetime
    amount_minor: int
    currency: str
    category: str | None
    country: str | None
    device: str | None


_NAMED: Final = (
    "t.uid, t.occurred_at, t.amount_minor, t.currency, t.merchant_category, t.merchant_country, t.device_id "
)
_WHOLE: Final = "catalogue_version = :catalogue AND features_status = :complete"
_LATELY: Final = text(
    f"WITH lately AS MATERIALIZED (SELECT transaction_uid FROM decision WHERE decided_at <= :until AND {_WHOLE} "  # noqa: S608
    f"ORDER BY decided_at DESC LIMIT :most) SELECT {_NAMED} FROM lately JOIN transaction t ON t.uid = lately.transaction_uid "
    "WHERE t.uid <> :uid ORDER BY t.occurred_at DESC"
)
_OWN: Final = text(
    f"SELECT {_NAMED} FROM (SELECT * FROM transaction WHERE customer_id = :customer AND occurred_at <= :until "  # noqa: S608
    "ORDER BY occurred_at DESC LIMIT :most) t JOIN LATERAL (SELECT catalogue_version, features_status FROM decision "
    f"WHERE transaction_uid = t.uid ORDER BY version DESC LIMIT 1) d ON {_WHOLE} WHERE t.uid <> :uid "
    "AND t.device_id IS NOT NULL ORDER BY t.occurred_at DESC"
)


async def scored_lately(work: UnitOfWork, row: Transaction, decision: Decision) -> list[ScoredPayment]:
    """Anybody's payments decided just before `row` was, newest first."""
    values = {"uid": row.uid, "until": decision.decided_at, "most": MOST_LATELY, **_whole(decision)}
    return [ScoredPayment(*found) for found in (await work.run(_LATELY, values)).all()]


async def scored_of_customer(work: UnitOfWork, row: Transaction, decision: Decision) -> list[ScoredPayment]:
    """The customer's payments before `row` that name a device, newest first."""
    values = {
        "uid": row.uid,
        "customer": row.customer_id,
        "until": row.occurred_at,
        "most": MOST_OWN,
        **_whole(decision),
    }
    return [ScoredPayment(*found) for found in (await work.run(_OWN, values)).all()]


def _whole(decision: Decision) -> dict[str, Any]:
    return {"catalogue": decision.catalogue_version, "complete": FeaturesStatus.COMPLETE.value}


async def vectors_of(work: UnitOfWork, uids: Sequence[UUID], catalogue_version: int) -> dict[UUID, list[float | None]]:
    """What these payments were scored with, by their newest decision that had all its features."""
    query = (
        select(Decision)
        .where(
            col(Decision.transaction_uid).in_(uids),
            Decision.catalogue_version == catalogue_version,
            Decision.features_status == FeaturesStatus.COMPLETE.value,
        )
        .order_by(col(Decision.version))
        .limit(len(uids) * 4)
    )
    return {row.transaction_uid: row.features for row in (await work.session.exec(query)).all()} if uids else {}


async def largest_others(
    work: UnitOfWork, row: Transaction, windows: Mapping[str, int], most: int
) -> dict[tuple[str, str], int]:
    """(kind of entity, window) -> the largest amount, in minor units, among the entity's other payments of the window, the newest `most`
    of them; left out where there was none. windows: by name, in seconds.
    """
    found: dict[tuple[str, str], int] = {}
    for kind, column in ENTITY_COLUMNS.items():
        if getattr(row, column) is None:
            continue
        query = text(
            f"SELECT o.occurred_at, o.amount_minor FROM transaction o WHERE o.{column} = :ident AND o.occurred_at <= :until "  # noqa: S608
            "AND o.occurred_at > :since AND (o.xid, o.uid) < (SELECT t.xid, t.uid FROM transaction t WHERE t.uid = :uid) "
            "ORDER BY o.occurred_at DESC, o.xid DESC, o.uid DESC LIMIT :most"
        )
        since = row.occurred_at - timedelta(seconds=max(windows.values()))
        values = {"ident": getattr(row, column), "until": row.occurred_at, "since": since, "uid": row.uid, "most": most}
        others = (await work.run(query, values)).all()
        for window, seconds in windows.items():
            inside = [amount for at, amount in others if at > row.occurred_at - timedelta(seconds=seconds)]
            if inside:
                found[kind.value, window] = max(inside)
    return found
