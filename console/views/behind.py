"""The payments that made a reason's number, ready to be shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from console.views.payments import payment_row
from console.views.words import count, money
from core.stores.evidence import Behind, Slice
from core.tables.flow import Decision, Transaction
from models.features.phrases.en import NOUN, PLURAL, WHERE
from models.scoring.evidence import AMOUNTS, FRAUDS, LABELS, PAIR, PLACES, Evidence
from models.scoring.telling import retell


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
        # All rows share it: a column would say the same in each.
        "show_customer": "customer" not in _subjects(sought),
        "show_merchant": "merchant" not in _subjects(sought),
        "range": _range(part, found),
        "newer_href": f"{href}{page - 1}" if page > 1 else "",
        "older_href": f"{href}{page + 1}" if part.skip + part.limit < found.count else "",
    }


def what(sought: Evidence, found: Behind) -> str:
    """`7 payments on this device in the hour before, this one among them; 4 different customers; €420.00 in all.`"""
    number, where = count(found.count), " ".join(WHERE[subject] for subject in _subjects(sought))
    payments = "payment" if found.count == 1 else "payments"
    since = _since(sought)
    if sought.what == PAIR:
        text = f"{number} earlier {payments} {where}"
    elif sought.what == AMOUNTS:
        text = f"The {number} earlier {payments} of this customer that this one is compared with"
    elif sought.what == FRAUDS:
        frauds = "fraud" if found.count == 1 else "frauds"
        text = f"{'' if since else 'The newest '}{number} {frauds} {where} reported{since or ' before'}"
    elif sought.what == LABELS:
        text = f"{'' if since else 'The newest '}{number} {payments} {where} with a label reported{since or ' before'}"
    else:
        located = " that say where they were made" if sought.what == PLACES else ""
        text = f"{'' if since else 'The newest '}{number} {payments} {where}{located}{since}, this one among them"
    return f"{text}{_different(sought, found)}{_total(sought, found)}."


def _subjects(sought: Evidence) -> list[str]:
    return [sought.entity, *([sought.other] if sought.other else [])]


def _since(sought: Evidence) -> str:
    if not sought.window_s:
        return ""
    return f" in the {_span(sought.window_s)} {'up to that day' if sought.by_day else 'before'}"


def _different(sought: Evidence, found: Behind) -> str:
    if sought.distinct is None or found.distinct is None:
        return ""
    words = NOUN[sought.distinct] if found.distinct == 1 else PLURAL[sought.distinct]
    return f"; {count(found.distinct)} {'' if found.distinct == 1 else 'different '}{words}"


def _total(sought: Evidence, found: Behind) -> str:
    """Sums of several currencies would be no amount of anything."""
    counted = sought.window_s is not None or sought.what == PAIR
    if not (counted and len(found.currencies) == 1 and found.count > 1):
        return ""
    return f"; {money(found.amount_minor, found.currencies[0])} in all"


def _span(seconds: int) -> str:
    hours = seconds // 3600
    if hours >= 48:
        return f"{hours // 24} days"
    return "hour" if hours == 1 else f"{hours} hours"


def differs(sought: Evidence, found: Behind) -> str:
    """Empty when as many are found as the score counted."""
    if sought.count is None or sought.count == found.count:
        return ""
    return f"The score counted {count(sought.count)}: not every record had reached it in this order."


def _range(part: Slice, found: Behind) -> str:
    last = min(part.skip + part.limit, found.count)
    return f"{count(part.skip + 1)} to {count(last)} of {count(found.count)}" if found.count > part.limit else ""
