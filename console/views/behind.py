"""The payments that made a reason's number, ready to be shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from console.views.payments import payment_row
from console.views.words import count, money
from core.base.terms import EntityKind
from core.stores.evidence import Behind, Slice
from core.tables.flow import Decision, Transaction
from models.scoring.evidence import AMOUNTS, FRAUDS, LABELS, PAIR, Evidence
from models.scoring.telling import retell

_NOUNS: Final = {
    EntityKind.CUSTOMER: "customer",
    EntityKind.CARD: "card",
    EntityKind.MERCHANT: "merchant",
    EntityKind.DEVICE: "device",
    EntityKind.IP: "IP address",
}


def behind(
    row: Transaction,
    reason: Mapping[str, Any],
    sought: Evidence,
    found: Behind,
    listed: Sequence[tuple[Transaction, Decision | None]],
    labels: Mapping[UUID, str],
    part: Slice,
    now: datetime,
) -> dict[str, Any]:
    """The template's context. listed: the payments of this slice, any order. labels: by payment."""
    by_uid = {payment.uid: (payment, decision) for payment, decision in listed}
    rows = [
        payment_row(payment, decision, now, label=labels.get(uid, ""), current=uid == row.uid)
        for uid in found.uids
        for payment, decision in [by_uid[uid]]
    ]
    page = part.skip // part.limit + 1
    href = f"/transactions/{row.uid}/reasons/{reason['code']}?page="
    return {
        "code": reason["code"],
        "reason_text": retell([reason], row.currency)[0]["text"],
        "what": what(sought, found),
        "differs": differs(sought, found),
        "rows": rows,
        "range": _range(part, found),
        "newer_href": f"{href}{page - 1}" if page > 1 else "",
        "older_href": f"{href}{page + 1}" if part.skip + part.limit < found.count else "",
    }


def what(sought: Evidence, found: Behind) -> str:
    """`7 payments of this device in the 1 hour before, this one among them; €420.00 in all.`"""
    noun, number = _NOUNS[sought.entity], count(found.count)
    payments = "payment" if found.count == 1 else "payments"
    since = f" in the {_span(sought.window_s)} before" if sought.window_s else ""
    if sought.what == PAIR:
        text = f"{number} earlier {payments} of this customer with this {noun}"
    elif sought.what == AMOUNTS:
        text = f"The {number} earlier {payments} of this customer that the amount is compared with"
    elif sought.what == FRAUDS:
        frauds = "fraud" if found.count == 1 else "frauds"
        text = f"{'' if since else 'The newest '}{number} {frauds} at this {noun} reported{since or ' before'}"
    elif sought.what == LABELS:
        text = f"{number} {payments} of this {noun} with a label reported{since or ' before'}"
    else:
        text = f"{number} {'' if since else 'newest '}{payments} of this {noun}{since}, this one among them"
    total = f"; {money(found.amount_minor, found.currencies[0])} in all" if len(found.currencies) == 1 else ""
    return f"{text}{total if sought.window_s or sought.what == PAIR else ''}."


def _span(seconds: int) -> str:
    gap = timedelta(seconds=seconds)
    if gap >= timedelta(days=2):
        return f"{gap.days} days"
    hours = seconds // 3600
    return "hour" if hours == 1 else f"{hours} hours"


def differs(sought: Evidence, found: Behind) -> str:
    """Empty when as many are found as the score counted."""
    if sought.count is None or sought.count == found.count:
        return ""
    return f"The score counted {count(sought.count)}: not every record had reached it in this order."


def _range(part: Slice, found: Behind) -> str:
    last = min(part.skip + part.limit, found.count)
    return f"{count(part.skip + 1)} to {count(last)} of {count(found.count)}" if found.count > part.limit else ""
