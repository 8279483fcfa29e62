"""A scorer that serves several shards takes their payments by arrival, each shard's own order kept."""

from core.base.ids import new_uuid
from core.contracts.messages import Payment, ScoreBatch
from workers.score import in_arrival_order


def payments(count: int) -> list[Payment]:
    return [
        Payment(
            uid=new_uuid(),
            source_id="shop",
            transaction_id=str(n),
            occurred_at_ms=n,
            accepted_at_ms=n,
            amount_minor=1,
            currency="EUR",
            customer_id="c",
        )
        for n in range(count)
    ]


def ids(batches: list[ScoreBatch]) -> list[str]:
    return [payment.transaction_id for payment in in_arrival_order(batches)]


def test_shards_are_merged_by_arrival() -> None:
    p = payments(6)
    batches = [
        ScoreBatch(shard=0, payments=[p[0], p[3]]),
        ScoreBatch(shard=0, payments=[p[5]]),
        ScoreBatch(shard=1, payments=[p[1]]),
        ScoreBatch(shard=1, payments=[p[2], p[4]]),
    ]
    assert ids(batches) == ["0", "1", "2", "3", "4", "5"]


def test_a_shards_own_order_is_never_changed() -> None:
    p = payments(4)
    batches = [ScoreBatch(shard=0, payments=[p[3], p[0]]), ScoreBatch(shard=1, payments=[p[1], p[2]])]
    assert ids(batches) == ["1", "2", "3", "0"]


def test_a_payment_that_was_published_twice_is_there_once() -> None:
    p = payments(3)
    batches = [ScoreBatch(shard=0, payments=[p[0], p[1]]), ScoreBatch(shard=0, payments=[p[1], p[2], p[0]])]
    assert ids(batches) == ["0", "1", "2"]
