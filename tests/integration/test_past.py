"""The order in which payments and labels are taken when history is read back."""

import asyncio
from datetime import UTC, datetime, timedelta

from core.acts import people
from core.acts.audit import system
from core.acts.labels import LabelInput, record_labels
from core.base.clock import from_ms, to_ms, utc_now
from core.base.ids import SourceId, TransactionId, new_uuid
from core.base.terms import Label, LabelSource
from core.contracts.messages import Payment
from core.infra.resources import Resources
from core.stores import accepting
from core.tables.flow import Transaction
from workers.history import read_history
from workers.past import walk_past

SOURCE = SourceId("past")
START = datetime(2026, 3, 1, tzinfo=UTC)


def a_payment(ident: str, day: int) -> Payment:
    return Payment(
        uid=new_uuid(), source_id=SOURCE, transaction_id=ident, occurred_at_ms=to_ms(START + timedelta(days=day)),
        accepted_at_ms=to_ms(utc_now()), amount_minor=1000, currency="EUR", customer_id="c",
    )  # fmt: skip


async def accept(resources: Resources, *payments: Payment, imported: bool) -> None:
    async with resources.postgres.unit_of_work() as work:
        arrivals = [accepting.Arrival(payment, payment.transaction_id.encode()) for payment in payments]
        await accepting.insert_transactions(work, arrivals, imported=imported)


async def say(resources: Resources, ident: str, source: LabelSource, day: int) -> None:
    async with resources.postgres.unit_of_work() as work:
        reported = START + timedelta(days=day)
        item = LabelInput(TransactionId(ident), Label.FRAUD, source, reported)
        await record_labels(work, SOURCE, [item], by=system("test"))


async def test_labels_stand_where_they_were_known(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        await people.add_source(work, SOURCE, "Past", system("test"))
    await accept(resources, a_payment("first", 0), a_payment("second", 1), a_payment("tenth", 10), imported=True)
    await say(resources, "first", LabelSource.IMPORT, 9)
    await say(resources, "second", LabelSource.IMPORT, 30)
    await say(resources, "tenth", LabelSource.IMPORT, 5)
    await accept(resources, a_payment("live", 12), imported=False)
    await say(resources, "second", LabelSource.CHARGEBACK, 2)
    await asyncio.sleep(0.005)  # a label of its very millisecond would be left out with it
    last = a_payment("last", 13)
    await accept(resources, last, imported=False)
    async with resources.postgres.reading() as work:
        taken = [row async for rows in walk_past(work) for row in rows]
        earlier = [row async for rows in walk_past(work, from_ms(last.accepted_at_ms - 1)) for row in rows]
        columns = await read_history(work)
    told = [
        row.transaction_id
        if isinstance(row, Transaction)
        else f"{row.label.label_source} {row.transaction.transaction_id}"
        for row in taken
    ]
    assert told == [
        "first",
        "second",
        "import first",  # reported before the tenth day's payment
        "tenth",
        "import tenth",  # never before its own payment
        "live",
        "chargeback second",  # when it was received, whatever it says
        "last",
        "import second",  # the stream has not come so far
    ]  # fmt: skip
    assert len(earlier) == len(taken) - 1
    assert columns.history.labels.position.tolist() == [2, 3, 4, 5]
    assert columns.truth.tolist() == [1, 1, 1, -1, -1]
