"""The history of labels in words, and what contradicts what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from console.i18n import Words, marked
from console.i18n import gettext as _
from console.views.audit import actor_name
from console.views.words import LABEL_SOURCES, LABELS, Moment, ago, maybe_moment, moment, money
from core.base.terms import Label, LabelSource
from core.stores.labels import Which
from core.tables.casework import TransactionLabel
from core.tables.flow import Transaction

WHICH = Words(
    {
        Which.REPORTED: marked("Reported"),
        Which.CONFLICT: marked("Conflicts"),
        Which.OVERTURNED: marked("Overturned by a late truth"),
        Which.IMPORTED: marked("Imported with history"),
    }
)


@dataclass(frozen=True)
class Other:
    """What another source says of the same payment. `overturned`: an analyst called it legitimate, and it was fraud."""

    label: str
    kind: str
    source: str
    who: str
    reported: Moment
    overturned: str


@dataclass(frozen=True)
class LabelEntry:
    id: str
    label: str
    kind: str
    source: str
    source_kind: str
    who: str
    reported: Moment
    received: Moment
    amount: str
    customer: str
    payment_href: str
    alert_href: str
    note: str
    withdrawn: Moment | None
    others: list[Other]


def labels_href(**query: str) -> str:
    given = {name: value for name, value in query.items() if value and value != Which.REPORTED.value}
    return f"/labels?{urlencode(given)}" if given else "/labels"


def _disagree(one: TransactionLabel, other: TransactionLabel) -> bool:
    unsure = Label.UNSURE.value
    return (
        one.label_source != other.label_source
        and one.label != other.label
        and unsure not in (one.label, other.label)
        and not (one.withdrawn_at or other.withdrawn_at)
    )


def _overturns(later: TransactionLabel, said: TransactionLabel) -> bool:
    return (
        said.label_source == LabelSource.ANALYST.value
        and said.label == Label.LEGITIMATE.value
        and later.label == Label.FRAUD.value
        and later.label_source in (LabelSource.CUSTOMER.value, LabelSource.CHARGEBACK.value)
        and said.received_at <= later.received_at
    )


def _other(row: TransactionLabel, said: TransactionLabel, names: Mapping[UUID, str], now: datetime) -> Other:
    gap = ago(row.received_at - said.received_at)
    return Other(
        label=LABELS[Label(said.label)],
        kind=said.label,
        source=LABEL_SOURCES[LabelSource(said.label_source)],
        who=actor_name(said.actor_type, said.actor_id, names),
        reported=moment(said.reported_at, now),
        overturned=_("overturned after %(gap)s", gap=gap) if _overturns(row, said) else "",
    )


def label_entry(
    row: TransactionLabel,
    payment: Transaction,
    alert_id: UUID | None,
    about: Sequence[TransactionLabel],
    names: Mapping[UUID, str],
    now: datetime,
) -> LabelEntry:
    """`about`: every label of the payment."""
    return LabelEntry(
        id=str(row.id),
        label=LABELS[Label(row.label)],
        kind=row.label,
        source=LABEL_SOURCES[LabelSource(row.label_source)],
        source_kind=row.label_source,
        who=actor_name(row.actor_type, row.actor_id, names),
        reported=moment(row.reported_at, now),
        received=moment(row.received_at, now),
        amount=money(payment.amount_minor, payment.currency),
        customer=payment.customer_id,
        payment_href=f"/transactions/{row.transaction_uid}",
        alert_href=f"/alerts/{alert_id}" if alert_id else "",
        note=row.note or "",
        withdrawn=maybe_moment(row.withdrawn_at, now),
        others=[_other(row, said, names, now) for said in about if said.id != row.id and _disagree(row, said)],
    )
