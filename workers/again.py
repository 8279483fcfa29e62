"""Version 2 of a decision: of one made without features or model, and of one that said no scorer could handle the payment."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from core.acts import outbox
from core.acts.audit import Actor
from core.acts.rescoring import Rescored, rescore
from core.base.clock import utc_now
from core.base.due import DueTimes
from core.base.hashing import shard_of
from core.base.terms import FeaturesStatus
from core.contracts.messages import Message, ScoreBatch
from core.contracts.topology import score_queue
from core.infra.resources import Resources
from core.stores import rescoring
from workers.verdicts import Verdict, alert_row, decision_row

log = structlog.get_logger()
LATER: Final = timedelta(seconds=30)
"""When a payment is sent again that was handled at last, but while its features were away."""


def rescored(verdict: Verdict, due: DueTimes) -> Rescored:
    now = utc_now()
    detail = {
        "version": 2,
        "outcome": verdict.outcome.value,
        "score": verdict.score,
        "model": verdict.model_id,
        "policy": verdict.policy_version,
        "rules": [hit.code for hit in verdict.hits],
    }
    return Rescored(decision_row(verdict, now, version=2), alert_row(verdict, now, due), verdict.alerts, detail)


async def decide_at_last(resources: Resources, verdicts: Sequence[Verdict], due: DueTimes, *, by: Actor) -> None:
    """Of payments that had a decision before: where it said that they could not be scored, it is made again.

    They come when a person sends a dead letter again, or when a message turns up that was given up.
    """
    async with resources.postgres.unit_of_work() as work:
        uids = await rescoring.given_up(work, [verdict.payment.uid for verdict in verdicts])
        again: list[tuple[str, Message]] = []
        for verdict in verdicts:
            if verdict.payment.uid not in uids:
                continue
            if verdict.status is FeaturesStatus.COMPLETE:
                await rescore(work, resources.redis, rescored(verdict, due), by=by)
                continue
            shard = shard_of(verdict.payment.customer_id, resources.settings.shards)
            again.append((score_queue(shard), ScoreBatch(shard=shard, payments=[verdict.payment])))
        await outbox.add(work, again, LATER)
    if uids:
        log.info("decided at last", payments=len(uids) - len(again), later=len(again))
