"""The payments that made a reason's number, ready to be shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import ModuleType
from typing import Any
from uuid import UUID

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.payments import payment_row
from console.views.reasons import reason_text
from console.views.words import count, money
from core.stores.evidence import Behind, Slice
from core.tables.flow import Decision, Transaction
from models.features.catalogue import LANGUAGES
from models.scoring.evidence import AMOUNTS, FRAUDS, LABELS, PAIR, PLACES, Evidence


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
        "reason_text": reason_text(reason, row.currency),
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
    where = " ".join(_said().WHERE[subject] for subject in _subjects(sought))
    text = _counted(sought, found.count, {"count": count(found.count), "where": where, "since": _since(sought)})
    return f"{text}{_different(sought, found)}{_total(sought, found)}."


def _said() -> ModuleType:
    return LANGUAGES[reader().language]


def _counted(sought: Evidence, n: int, values: Mapping[str, str]) -> str:
    """Whole sentences: other languages order them otherwise."""
    known = sought.window_s is not None
    if sought.what == PAIR:
        return ngettext("%(count)s earlier payment %(where)s", "%(count)s earlier payments %(where)s", n, **values)
    if sought.what == AMOUNTS:
        return ngettext(
            "The %(count)s earlier payment of this customer that this one is compared with",
            "The %(count)s earlier payments of this customer that this one is compared with",
            n,
            **values,
        )
    if sought.what == FRAUDS and known:
        return ngettext(
            "%(count)s fraud %(where)s reported %(since)s", "%(count)s frauds %(where)s reported %(since)s", n, **values
        )
    if sought.what == FRAUDS:
        return ngettext(
            "The newest %(count)s fraud %(where)s reported before",
            "The newest %(count)s frauds %(where)s reported before",
            n,
            **values,
        )
    if sought.what == LABELS:
        return _labelled(known, n, values)
    return _paid(sought.what == PLACES, known, n, values)


def _labelled(known: bool, n: int, values: Mapping[str, str]) -> str:
    if known:
        return ngettext(
            "%(count)s payment %(where)s with a label reported %(since)s",
            "%(count)s payments %(where)s with a label reported %(since)s",
            n,
            **values,
        )
    return ngettext(
        "The newest %(count)s payment %(where)s with a label reported before",
        "The newest %(count)s payments %(where)s with a label reported before",
        n,
        **values,
    )


def _paid(located: bool, known: bool, n: int, values: Mapping[str, str]) -> str:
    if located and known:
        return ngettext(
            "%(count)s payment %(where)s that says where it was made %(since)s, this one among them",
            "%(count)s payments %(where)s that say where they were made %(since)s, this one among them",
            n,
            **values,
        )
    if located:
        return ngettext(
            "The newest %(count)s payment %(where)s that says where it was made, this one among them",
            "The newest %(count)s payments %(where)s that say where they were made, this one among them",
            n,
            **values,
        )
    if known:
        return ngettext(
            "%(count)s payment %(where)s %(since)s, this one among them",
            "%(count)s payments %(where)s %(since)s, this one among them",
            n,
            **values,
        )
    return ngettext(
        "The newest %(count)s payment %(where)s, this one among them",
        "The newest %(count)s payments %(where)s, this one among them",
        n,
        **values,
    )


def _subjects(sought: Evidence) -> list[str]:
    return [sought.entity, *([sought.other] if sought.other else [])]


def _since(sought: Evidence) -> str:
    if not sought.window_s:
        return ""
    hours = sought.window_s // 3600
    days = hours // 24
    if sought.by_day:
        return ngettext("in the %(num)s day up to that day", "in the %(num)s days up to that day", days)
    if days >= 2:
        return ngettext("in the %(num)s day before", "in the %(num)s days before", days)
    return ngettext("in the hour before", "in the %(num)s hours before", hours)


def _different(sought: Evidence, found: Behind) -> str:
    if sought.distinct is None or found.distinct is None:
        return ""
    said, number = _said(), count(found.distinct)
    told = ngettext(
        "%(count)s %(thing)s", "%(count)s different %(things)s", found.distinct,
        count=number, thing=said.NOUN[sought.distinct], things=said.PLURAL[sought.distinct],
    )  # fmt: skip
    return f"; {told}"


def _total(sought: Evidence, found: Behind) -> str:
    """Sums of several currencies would be no amount of anything."""
    counted = sought.window_s is not None or sought.what == PAIR
    if not (counted and len(found.currencies) == 1 and found.count > 1):
        return ""
    return "; " + _("%(amount)s in all", amount=money(found.amount_minor, found.currencies[0]))


def differs(sought: Evidence, found: Behind) -> str:
    """Empty when as many are found as the score counted."""
    if sought.count is None or sought.count == found.count:
        return ""
    return _("The score counted %(count)s: not every record had reached it in this order.", count=count(sought.count))


def _range(part: Slice, found: Behind) -> str:
    last = min(part.skip + part.limit, found.count)
    return (
        _("%(skip)s to %(last)s of %(count)s", skip=count(part.skip + 1), last=count(last), count=count(found.count))
        if found.count > part.limit
        else ""
    )
