"""Search over all transactions, and one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import get
from litestar.params import FromPath, FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.views import evidence, payments
from console.views.words import ENTITIES, OUTCOMES
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotFound
from core.base.money import to_minor
from core.base.terms import EntityKind, Outcome, Role
from core.stores import casework, flow
from core.stores.flow import TransactionFilter, TransactionPlace

PAGE = 50
_FIELDS = ("q", "outcome", "currency", "amount_from", "amount_to", "since", "until", *EntityKind)
_TIME = "%Y-%m-%dT%H:%M"


@dataclass
class Search:
    """The form as it was filled in, what it asks for, and what is wrong with it."""

    given: dict[str, str]
    wanted: TransactionFilter = field(default_factory=TransactionFilter)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not any(self.given.values())

    def href(self, **changes: str) -> str:
        query = {name: value for name, value in {**self.given, **changes}.items() if value}
        return f"/transactions?{urlencode(query)}" if query else "/transactions"


def read_search(query: Mapping[str, str]) -> Search:
    typed = {name: query.get(name, "").replace("\x00", "")[:200] for name in _FIELDS}
    search = Search({name: text if name in set(EntityKind) else text.strip() for name, text in typed.items()})
    given = search.given
    entities = [(kind, given[kind]) for kind in EntityKind if given[kind]]
    if len(entities) > 1:
        search.problems["q"] = _("Only one of customer, card, merchant, device and IP address at a time.")
    if given["outcome"] and given["outcome"] not in set(Outcome):
        search.problems["outcome"] = _("There is no such outcome.")
    currency = given["currency"].upper()
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        search.problems["currency"] = _("A currency has three letters, for example EUR.")
    amount_from, amount_to = _amount(search, "amount_from", currency), _amount(search, "amount_to", currency)
    if amount_from is not None and amount_to is not None and amount_from > amount_to:
        search.problems["amount_to"] = _("The highest amount is below the lowest one.")
    since, until = _time(search, "since"), _time(search, "until")
    if since and until and since >= until:
        search.problems["until"] = _("The end lies before the beginning.")
    search.wanted = TransactionFilter(
        words=given["q"],
        outcome=given["outcome"],
        currency=currency,
        amount_from_minor=amount_from,
        amount_to_minor=amount_to,
        since=since,
        until=until,
        entity=entities[0] if entities else None,
    )
    return search


def _amount(search: Search, name: str, currency: str) -> int | None:
    """In minor units, which only a currency can tell."""
    text = search.given[name]
    if not text:
        return None
    if not currency:
        search.problems.setdefault("currency", _("Name the currency that the amounts are in, for example EUR."))
        return None
    try:
        return to_minor(Decimal(text.replace(",", "")), currency)
    except (InvalidOperation, ValueError, OverflowError):  # the last for "Infinity"
        search.problems[name] = _("“%(given)s” is not an amount. Write it like 1250.50.", given=search.given[name])
        return None


def _time(search: Search, name: str) -> datetime | None:
    text = search.given[name]
    if not text:
        return None
    try:
        return datetime.strptime(text[:16], _TIME).replace(tzinfo=UTC)
    except ValueError:
        search.problems[name] = _("“%(text)s” is not a time. Write it like 2026-01-31T09:30, in UTC.", text=text)
        return None


def read_place(text: str) -> TransactionPlace | None:
    """Raises InvalidInput on anything that `place_text` did not make."""
    if not text:
        return None
    when, __, ident = text.partition("_")
    try:
        return TransactionPlace(datetime.strptime(when, "%Y%m%dT%H%M%S.%f%z"), UUID(ident))
    except ValueError as error:
        raise InvalidInput(_("This link to a further page is damaged. Search again.")) from error


def place_text(occurred_at: datetime, uid: UUID) -> str:
    return f"{occurred_at.astimezone(UTC):%Y%m%dT%H%M%S.%f%z}_{uid}"


@get("/transactions", guards=[require(Role.VIEWER)])
async def transactions_page(request: ConsoleRequest, after: FromQuery[str] = "") -> Page:
    search, place, now = read_search(dict(request.query_params.items())), read_place(after), utc_now()
    rows: list[payments.PaymentRow] = []
    more = ""
    if not search.problems:
        async with resources_of(request).postgres.reading() as work:
            found = await flow.search_transactions(work, search.wanted, after=place, limit=PAGE + 1)
            labels = await casework.labels_by_transaction(work, [row.uid for row, _ in found])
        shown = found[:PAGE]
        rows = [
            payments.payment_row(row, decision, now, label=labels[row.uid].label if row.uid in labels else "")
            for row, decision in shown
        ]
        more = place_text(shown[-1][0].occurred_at, shown[-1][0].uid) if len(found) > PAGE else ""
    entity = search.wanted.entity
    context: dict[str, Any] = {
        "rows": rows,
        "given": search.given,
        "problems": search.problems,
        "outcomes": [(outcome.value, words) for outcome, words in OUTCOMES.items()],
        "entity": {
            "kind": entity[0].value,
            "title": ENTITIES[entity[0]][0],
            "icon": ENTITIES[entity[0]][1],
            "id": entity[1],
        }
        if entity
        else None,
        "without_entity_href": search.href(**{kind.value: "" for kind in EntityKind}),
        "narrowed": not search.empty,
        "more_href": search.href(after=more) if more else "",
    }
    fragment = is_fragment(request) and after
    status = 422 if search.problems else 200
    return render(request, "_transactions_more.html" if fragment else "transactions.html", context, status=status)


@get("/transactions/{uid:uuid}", guards=[require(Role.VIEWER)])
async def transaction_page(request: ConsoleRequest, uid: FromPath[UUID]) -> Page:
    now = utc_now()
    async with resources_of(request).postgres.reading() as work:
        row = await flow.transaction(work, uid)
        if row is None:
            raise NotFound(_("There is no such transaction."))
        decision = await flow.latest_decision(work, uid)
        labels = await casework.labels_of(work, uid)
        alert = await casework.alert_of(work, uid)
    context = {
        "payment": evidence.payment(row, now),
        "judgement": evidence.judgement(decision, row, now) if decision else None,
        "imported": row.imported,
        "labels": [payments.label_row(label, now) for label in labels],
        "alert_href": f"/alerts/{alert.id}" if alert else "",
        "timeline_href": f"/audit?subject_type=transaction&subject_id={uid}",
    }
    return render(request, "transaction.html", context)
