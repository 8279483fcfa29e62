"""Answers what the scorer would say of payments that nobody made, with the model, the rules and the lists in force. Stores nothing."""

import asyncio
from typing import Final

import msgspec
import numpy as np
import structlog
from redis.exceptions import RedisError

from core.base.clock import to_ms, utc_now
from core.base.terms import FeaturesStatus
from core.contracts.what_if import MOST_VARIANTS, Answer, Question, Said
from core.infra.asking import answer, questions
from core.infra.redis import Redis
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from workers.control import ControlSample
from workers.judging import judge
from workers.lineup import Lineup, LineupKeeper

log = structlog.get_logger()
TOO_OLD_MS: Final = 5_000
_NOBODY: Final = ControlSample(share=0.0, unusual_from=1.0, unusual_share=0.0)
_decoder = msgspec.msgpack.Decoder(Question)


async def answer_what_ifs(redis: Redis, lineup: LineupKeeper) -> None:
    """For ever, beside the scoring: a thread does the work, so that no payment waits for it."""
    async for body in questions(redis):
        if lineup.current is None:
            continue
        try:
            question = _decoder.decode(body)
            if to_ms(utc_now()) - question.asked_at_ms <= TOO_OLD_MS:
                found = await asyncio.to_thread(considered, question, lineup.current)
                await answer(redis, question.id, msgspec.msgpack.encode(found))
        except (msgspec.DecodeError, ValueError, RedisError, OSError) as error:
            log.warning("a what-if was not answered", detail=str(error)[:200])


def considered(question: Question, lineup: Lineup) -> Answer:
    """Nothing is said of vectors of another catalogue: their places mean something else."""
    model_id = lineup.champion.id if lineup.champion else None
    fits = all(len(variant.features) == len(NAMES) for variant in question.variants)
    if question.catalogue_version != CATALOGUE_VERSION or not fits or not 0 < len(question.variants) <= MOST_VARIANTS:
        return Answer(model_id=model_id, policy_version=lineup.policy_version, said=[])
    matrix = np.array([variant.features for variant in question.variants], dtype=np.float64)
    payments = [variant.payment for variant in question.variants]
    verdicts = judge(payments, matrix, FeaturesStatus.COMPLETE, lineup, _NOBODY, utc_now(), explain=False)
    said = [Said(verdict.score, verdict.outcome, [hit.text for hit in verdict.hits]) for verdict in verdicts]
    return Answer(model_id=model_id, policy_version=lineup.policy_version, said=said)
