"""The rate again with more scorers, then with more entities in Redis and more rows in PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import msgspec

from backend.bench.flow import Track
from backend.bench.options import BATCH, BenchOptions
from backend.bench.workload import Workload
from backend.display import Display, Step
from backend.intake import parse_transaction
from backend.synthetic import SOURCE
from core.acts.audit import Event, record, system
from core.base.clock import utc_now
from core.base.hashing import sha256
from core.base.ids import new_uuid
from core.base.terms import Action
from core.contracts.messages import Payment
from core.infra.redis import connect_redis
from core.stores import accepting, flow
from models.features.online import OnlineFeatures

SMALL_ENTITIES = 10_000
SCORERS = (1, 2)
DRIVES = 3
"""Of each measure; the one in the middle counts, because what is compared lies minutes apart and machines are shared. One more comes
before them and counts for nothing: the first payments after a checkpoint write two pages whole to the log, each.
"""
CHUNK = 2_000
PATIENCE_S = 60.0
"""A chunk of history may keep Redis busy for longer than a payment may wait."""
CUSTOMERS_OF_A_MERCHANT = 10
PAST_MS = 60 * 86_400_000
"""The stored payments lie in so much event time before those that are sent."""
BY = system("bench")


@dataclass(frozen=True)
class Grown:
    """`rows`: transactions that lay in PostgreSQL when it began. `ratio`: to the rate of the same payments and as many scorers before
    the history was stored; `of_first`: to that of the first measure. `degraded`: decided without features, in all drives of this measure.
    """

    scorers: int
    entities: int
    rows: int
    decisions_per_s: float
    ratio: float
    of_first: float
    degraded: int

    @property
    def words(self) -> str:
        return f"{self.scorers} scorer(s), {self.entities:,} entities, {self.rows:,} rows"


async def grow(
    on: Track, options: BenchOptions, display: Display, stream: Workload, singles_per_s: float
) -> list[Grown]:
    """The payments are spread evenly over the entities, which is harder on caches than life is. The same are sent before and after the
    history is stored: their ratio is what size costs, and not what spreading them costs.
    """
    grown = list[Grown]()
    spread = {many: stream.spread(options.seed, many) for many in (SMALL_ENTITIES, options.entities)}
    measures = [(entities, scorers) for entities in spread for scorers in SCORERS]
    for filled in (False, True):
        if filled:
            await _fill(on, options, stream, display)
        for entities, scorers in measures:
            async with on.resources.postgres.reading() as work:
                rows = await flow.count_transactions(work)
            display.say(f"batches of {BATCH}, {scorers} scorer(s), {entities:,} entities, {rows:,} rows")
            await on.instance.exchange(scorers=scorers)
            await on.warm_up(spread[entities])
            drives = [await on.batches(spread[entities], options.seconds, singles_per_s) for _ in range(1 + DRIVES)]
            found = median(drive.decisions_per_s for drive in drives[1:])
            degraded = sum(drive.counts.degraded for drive in drives)
            before = grown[len(grown) - len(measures)].decisions_per_s if filled else found
            first = grown[0].decisions_per_s if grown else found
            grown.append(Grown(scorers, entities, rows, found, found / before, found / first, degraded))
    return grown


async def _fill(on: Track, options: BenchOptions, stream: Workload, display: Display) -> None:
    """History: one payment of each entity goes to Redis as well, so that each has a state; later ones only to PostgreSQL."""
    async with on.resources.postgres.reading() as work:
        missing = max(options.rows - await flow.count_transactions(work), options.entities)
    redis = connect_redis(on.instance.settings.redis_url.get_secret_value(), timeout_s=PATIENCE_S)
    features, done = OnlineFeatures(redis), 0
    with display.progress() as steps:
        for chunk in _made_up(stream, options, missing):
            async with on.resources.postgres.unit_of_work() as work:
                arrivals = [accepting.Arrival(payment, sha256(payment.uid.bytes)) for payment in chunk]
                await accepting.insert_transactions(work, arrivals, imported=True)
                await record(work, Event(BY, Action.HISTORY_IMPORT, "source", SOURCE, {"count": len(chunk)}))
            await features.backfill(chunk[: max(0, options.entities - done)])
            done += len(chunk)
            steps.at(Step(done / missing, f"storing {missing:,} payments of {options.entities:,} entities"))
        steps.done()
    await redis.aclose()
    await on.instance.tidy_up()


def _made_up(stream: Workload, options: BenchOptions, count: int) -> Iterator[list[Payment]]:
    """Copies of the next payments, each with an id and a time of its own: before these, and in order for each entity."""
    patterns = [parse_transaction(msgspec.json.encode(body), SOURCE, utc_now()).payment for body in stream.take(CHUNK)]
    until_ms = patterns[0].occurred_at_ms
    for start in range(0, count, CHUNK):
        chunk = []
        for place, pattern in enumerate(patterns[: count - start], start):
            who = f"{place % options.entities:08d}"
            chunk.append(
                msgspec.structs.replace(
                    pattern,
                    uid=new_uuid(),
                    transaction_id=f"grown_{place:08d}",
                    occurred_at_ms=until_ms - (count - place) * PAST_MS // count,
                    customer_id=f"customer_{who}",
                    card_id=pattern.card_id and f"card_{who}",
                    device_id=pattern.device_id and f"device_{who}",
                    merchant_id=f"merchant_{place % options.entities // CUSTOMERS_OF_A_MERCHANT:08d}",
                    ip=None,
                )
            )
        yield chunk
