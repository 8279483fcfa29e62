"""Any order of what can happen, drawn by Hypothesis: afterwards everything that was accepted is decided once, with the features it would
have had if nothing had happened, and the audit trail is whole.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from pydantic import SecretStr
from sqlalchemy import text

import backend.ingest
import workers.feedback
import workers.live_features
import workers.relay
from backend import feature_check
from backend.ingest import Acceptance
from core.acts import people
from core.acts.audit_verify import verify
from core.base.clock import to_ms, utc_now
from core.base.ids import new_uuid
from core.base.settings import Settings
from core.base.tasks import end
from core.base.terms import Label
from core.contracts.messages import Payment
from core.infra.resources import Resources, open_resources
from core.infra.signing import ensure_local_keys
from core.stores import seals
from core.stores.accepting import Arrival
from tests.faults import model
from tests.faults.conftest import Note
from tests.faults.machine import CRASHES, SCORES, SOURCE, TEST, Clock, Ronda, clear
from workers.lineup import LineupKeeper

T = TypeVar("T")
COMPLETE = "SELECT count(*) FROM decision WHERE features_status = 'complete' AND version = 1"
NOT_MADE_AGAIN = """
    SELECT count(*) FROM decision d WHERE features_status = 'degraded'
    AND NOT EXISTS (SELECT FROM decision e WHERE e.transaction_uid = d.transaction_uid AND e.version = 2)
"""
LATE_S = (0, 0, 0, 40, 3 * 3600, 5 * 86_400, 45 * 86_400)
"""How long before its acceptance a payment took place: some arrive late, some too late to join their entity's history."""


@dataclass
class World:
    """What outlives a sequence."""

    runner: asyncio.Runner
    resources: Resources
    keeper: LineupKeeper
    superuser: str
    did: Counter[str] = field(default_factory=Counter)

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)

    def words(self) -> str:
        """What was done, with the account of all sequences together."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.did.items()))


@pytest.fixture
def world(
    postgres_url: str,
    valkey_url: str,
    rabbit_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    note: Note,
) -> Iterator[World]:
    monkeypatch.setattr(workers.relay, "utc_now", Clock())
    monkeypatch.setattr(backend.ingest, "MARK_EVERY_S", 0.0)
    for name in ("PROBE_S", "PROBE_MOST_S", "TICK_S", "AT_ONCE_S", "CHANGED_S"):
        monkeypatch.setattr(workers.live_features, name, 0.01)
    chosen = Settings(
        database_url=SecretStr(postgres_url), redis_url=SecretStr(valkey_url), bus_url=SecretStr(rabbit_url), data_dir=tmp_path,
        shards=1,
        score_batch_max=3, feature_timeout_ms=1000, ingest_linger_ms=0, control_share=0.0, control_unusual_share=0.0,
    )  # fmt: skip
    ensure_local_keys(chosen)
    with asyncio.Runner() as runner:
        opened = open_resources(chosen, "machine")
        resources = runner.run(opened.__aenter__())
        try:
            world = runner.run(_world(runner, resources, postgres_url))
            yield world
            note(world.words())
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _world(runner: asyncio.Runner, resources: Resources, superuser: str) -> World:
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, SOURCE, "Machine", TEST)
    await model.promote(resources)
    keeper = LineupKeeper(resources)
    await keeper.refresh()
    return World(runner, resources, keeper, superuser)


PAYMENTS = st.fixed_dictionaries(
    {
        "customer": st.integers(0, 2),
        "card": st.integers(0, 1),
        "merchant": st.integers(0, 2),
        "device": st.integers(-1, 2),
        "amount": st.sampled_from([100, 999, 5_000, 250_000]),
        "late": st.sampled_from(LATE_S),
    }
)


def arrival(number: int, drawn: dict[str, int]) -> Arrival:
    now = to_ms(utc_now())
    device = drawn["device"]
    payment = Payment(
        uid=new_uuid(), source_id=SOURCE, transaction_id=str(number), occurred_at_ms=now - drawn["late"] * 1000, accepted_at_ms=now,
        amount_minor=drawn["amount"], currency="EUR", customer_id=f"c{drawn['customer']}",
        card_id=f"k{drawn['customer']}-{drawn['card']}", merchant_id=f"m{drawn['merchant']}", merchant_category="5411",
        device_id=None if device < 0 else f"d{device}",
    )  # fmt: skip
    return Arrival(payment, b"body %d" % number)


class Machine(RuleBasedStateMachine):
    """The oracle knows what was accepted; everything else follows from it.

    What is on the wire hangs on how fast things go, so no rule is chosen and nothing is drawn by it: a rule that finds nothing is idle.
    """

    world: World

    @initialize(patient=st.booleans())
    def begin(self, patient: bool) -> None:
        """patient: a batch waits for a recovery of the features, so that nothing hangs on how fast the machine is."""
        workers.live_features.AT_ONCE_S = workers.live_features.CHANGED_S = 5.0 if patient else 0.0
        workers.feedback.LOOKS, workers.feedback.LOOK_S = 1, 0.0
        self.do = self.world.do
        self.do(clear(self.world.superuser, self.world.resources))
        self.ronda = self.do(Ronda.begin(self.world.resources, self.world.keeper))
        self.accepted: list[Arrival] = []

    @rule(drawn=st.lists(PAYMENTS, min_size=1, max_size=3))
    def post(self, drawn: list[dict[str, int]]) -> None:
        new = [arrival(len(self.accepted) + place, each) for place, each in enumerate(drawn)]
        answers = self.do(self.ronda.accept(new))
        assert [answer.status for answer in answers] == [Acceptance.ACCEPTED] * len(new)
        self.accepted += new

    @rule(drawn=st.lists(PAYMENTS, min_size=1, max_size=3))
    def post_and_score(self, drawn: list[dict[str, int]]) -> None:
        """What happens most of the time."""
        self.post(drawn)
        self.do(self.ronda.score(4))

    @precondition(lambda self: self.accepted)
    @rule(place=st.integers(0, 1000), same=st.booleans())
    def post_again(self, place: int, same: bool) -> None:
        first = self.accepted[place % len(self.accepted)]
        again = arrival(
            int(first.payment.transaction_id),
            {"customer": 0, "card": 0, "merchant": 0, "device": 0, "amount": 1, "late": 0},
        )
        again = again if not same else Arrival(again.payment, first.body_sha)
        if not same:
            again = Arrival(again.payment, b"another")
        [answer] = self.do(self.ronda.accept([again]))
        assert answer.status is (Acceptance.REPLAYED if same else Acceptance.CONFLICT)
        assert answer.uid == first.payment.uid

    @rule(mode=st.sampled_from(["away", "deaf", "up", "up"]))
    def the_broker_is(self, mode: str) -> None:
        """Whatever waits in the outbox: when the broker is back, younger messages may be there before it."""
        if mode != "up":
            self.world.did[f"broker {mode}"] += 1
        self.ronda.wire.mode = mode

    @rule(most=st.integers(1, 4))
    def score(self, most: int) -> None:
        if self.ronda.wire.of(SCORES):
            self.do(self.ronda.score(most))

    @rule(most=st.integers(1, 4), dies_at=st.sampled_from(CRASHES))
    def the_scorer_dies(self, most: int, dies_at: str) -> None:
        if not self.ronda.wire.of(SCORES):
            return
        self.world.did[f"scorer died {dies_at}"] += 1
        self.do(self.ronda.score(most, dies_at))

    @rule(place=st.integers(0, 1000), front=st.booleans())
    def an_ack_was_lost(self, place: int, front: bool) -> None:
        if not self.ronda.wire.acked:
            return
        self.world.did["acks lost"] += 1
        self.ronda.wire.again(place, front)

    @precondition(lambda self: self.accepted and self.ronda.wire.mode == "up")
    @rule(place=st.integers(0, 1000), fraud=st.booleans())
    def label(self, place: int, fraud: bool) -> None:
        ident = self.accepted[place % len(self.accepted)].payment.transaction_id
        self.do(self.ronda.label(ident, Label.FRAUD if fraud else Label.LEGITIMATE))

    @rule(what=st.sampled_from(["emptied", "photographed", "put back"]))
    def redis(self, what: str) -> None:
        if what == "emptied":
            self.world.did["Redis emptied"] += 1
            self.do(self.world.resources.redis.flushall())
        elif what == "photographed":
            self.do(self.ronda.take_photograph())
        elif self.ronda.photograph:
            self.world.did["Redis restarted with less"] += 1
            self.do(self.ronda.fall_back())

    @rule(seed=st.integers(0, 1000))
    def order_is_lost(self, seed: int) -> None:
        if len(self.ronda.wire.waiting) > 1:
            self.world.did["orders lost"] += 1
            self.ronda.wire.mix(random.Random(seed))

    @rule(what=st.sampled_from(["relay", "rebuild", "rescore", "seal"]))
    def work(self, what: str) -> None:
        self.world.did[f"times {what}"] += 1
        self.do(getattr(self.ronda, what)())

    def teardown(self) -> None:
        if hasattr(self, "ronda"):
            try:
                self.do(self.settle())
                self.do(self.check())
            finally:
                self.do(self.ronda.end())

    async def settle(self) -> None:
        """Everything is well again, and given the time it needs."""
        ronda = self.ronda
        ronda.wire.mode = "up"
        await ronda.relay()
        while ronda.wire.of(SCORES):
            await ronda.score(8)
        await ronda.feed()
        # A payment comes in the end: a scorer notices what its feature store lost when it asks.
        last = [
            arrival(
                len(self.accepted), {"customer": 0, "card": 0, "merchant": 0, "device": 0, "amount": 5_000, "late": 0}
            )
        ]
        await ronda.accept(last)
        self.accepted += last
        await ronda.score(8)
        keeping = asyncio.create_task(ronda.desk.features.keep())
        try:
            async with asyncio.timeout(20):
                while await self.count(NOT_MADE_AGAIN):
                    await ronda.rescore()
                    await asyncio.sleep(0.01)
        finally:
            await end(keeping)
        await ronda.seal()

    async def count(self, query: str) -> int:
        async with self.world.resources.postgres.reading() as work:
            return int((await work.run(text(query))).scalar_one())

    async def check(self) -> None:
        accepted, did = len(self.accepted), self.world.did
        assert await self.count('SELECT count(*) FROM "transaction"') == accepted
        assert await self.count("SELECT count(*) FROM decision WHERE version = 1") == accepted
        assert (
            await self.count("SELECT count(*) FROM decision WHERE features_status = 'degraded' AND outcome = 'approve'")
            == 0
        )
        assert await self.count("SELECT count(*) - count(DISTINCT transaction_uid) FROM alert") == 0
        assert await self.count("SELECT count(*) FROM audit_event WHERE action = 'decision.make'") == accepted
        found = await feature_check.check(self.world.resources)
        assert found.equal, found.words()
        assert found.vectors >= accepted
        async with self.world.resources.postgres.reading() as work:
            trail = await verify(work, self.ronda.keys, None)
            last = await seals.newest(work)
        assert (trail.faults, trail.unsealed, trail.seals) == ([], 0, last.n if last else 0)
        did["sequences"] += 1
        did["payments accepted"] += accepted
        did["seals"] += trail.seals
        did["vectors equal to the replay"] += found.vectors
        did["decided again"] += found.vectors - await self.count(COMPLETE)


@pytest.mark.timeout(3600)
def test_whatever_happens_in_whatever_order(world: World, long_faults: bool) -> None:
    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=500 if long_faults else 12,
            stateful_step_count=50 if long_faults else 30,
            deadline=None,
            derandomize=not long_faults,
            database=None,
            print_blob=True,
            phases=[Phase.generate, *([Phase.shrink] if long_faults else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
