"""SQL of decisions that were made without features or model, and are made again as version 2."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import exists, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from core.base.terms import FeaturesStatus
from core.infra.postgres import UnitOfWork
from core.tables.flow import Decision, Transaction

MOST: Final = 256


async def degraded(
    work: UnitOfWork, *, since: datetime, limit: int, model_since: datetime | None = None
) -> Sequence[Transaction]:
    """Transactions decided since then without their features that have no version 2, oldest decision first.

    model_since: also those decided without a model since then.
    """
    later = aliased(Decision)
    without = col(Decision.features_status) == FeaturesStatus.DEGRADED.value
    if model_since is not None:
        without = or_(without, col(Decision.score).is_(None) & (col(Decision.decided_at) >= model_since))
    query = (
        select(Transaction)
        .join(Decision, col(Decision.transaction_uid) == col(Transaction.uid))
        .where(
            Decision.version == 1,
            or_(col(Decision.features_status) == FeaturesStatus.DEGRADED.value, col(Decision.score).is_(None)),
            col(Decision.decided_at) >= since,
            # No scorer survived these; they are answered by a dead letter, and by whoever sends that again.
            Decision.features_status != FeaturesStatus.ABSENT.value,
            without,
            ~exists().where(col(later.transaction_uid) == col(Decision.transaction_uid), col(later.version) > 1),
        )
        .order_by(col(Decision.decided_at), col(Decision.transaction_uid))
        .limit(limit)
    )
    return (await work.session.exec(query)).all()


async def given_up(work: UnitOfWork, uids: Sequence[UUID]) -> set[UUID]:
    """Those whose only answer is that they could not be scored."""
    later = aliased(Decision)
    query = (
        select(Decision.transaction_uid)
        .where(
            col(Decision.transaction_uid).in_(uids),
            Decision.features_status == FeaturesStatus.ABSENT.value,
            ~exists().where(col(later.transaction_uid) == col(Decision.transaction_uid), col(later.version) > 1),
        )
        .limit(len(uids))
    )
    return set((await work.session.exec(query)).all())
