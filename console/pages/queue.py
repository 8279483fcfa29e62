"""The live queue of alerts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import get
from litestar.params import FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.shell import Page, is_fragment, render, see_other
from console.views.queue import alert_row, people_in, queue_href, tabs
from core.base.clock import to_ms, utc_now
from core.base.errors import InvalidInput
from core.base.terms import AlertStatus, Role
from core.infra.postgres import UnitOfWork
from core.stores import casework, people
from core.stores.casework import AlertPlace, LossPlace
from core.tables.casework import Alert

PAGE = 50
NEWEST, BY_LOSS = "", "loss"


@dataclass(frozen=True)
class Wanted:
    """What the address asks for. `after`: a place from a link of ours."""

    status: str
    order: str
    after: str


def _wanted(status: str, order: str, after: str) -> Wanted:
    if status not in {"", *AlertStatus}:
        raise InvalidInput(f"There is no alert status {status!r}.")
    if order not in {NEWEST, BY_LOSS}:
        raise InvalidInput(f"The queue has no order {order!r}.")
    return Wanted(status, order, after)


def place_text(alert: Alert, order: str) -> str:
    """The keyset of a row, as it stands in an address."""
    return (
        f"{alert.expected_loss_minor}.{alert.id}" if order == BY_LOSS else f"{exact_time(alert.opened_at)}_{alert.id}"
    )


def exact_time(when: datetime) -> str:
    """With microseconds: a keyset cut to milliseconds would repeat or skip rows."""
    return when.strftime("%Y%m%dT%H%M%S.%f%z")


async def _alerts(work: UnitOfWork, wanted: Wanted, limit: int) -> list[Alert]:
    status = AlertStatus(wanted.status) if wanted.status else None
    try:
        if wanted.order == BY_LOSS:
            loss, _, ident = wanted.after.partition(".")
            after_loss = LossPlace(int(loss), UUID(ident)) if wanted.after else None
            return list(await casework.alerts_by_loss(work, status=status, after=after_loss, limit=limit))
        when, _, ident = wanted.after.partition("_")
        opened = datetime.strptime(when, "%Y%m%dT%H%M%S.%f%z") if wanted.after else None
        after = AlertPlace(opened, UUID(ident)) if opened else None
    except ValueError as error:
        raise InvalidInput("This link to a further page is damaged. Go back to the queue's first page.") from error
    return list(await casework.open_alerts(work, status=status, after=after, limit=limit))


@get(["/", "/queue"], guards=[require(Role.VIEWER)])
async def queue_page(
    request: ConsoleRequest, status: FromQuery[str] = "", order: FromQuery[str] = "", after: FromQuery[str] = ""
) -> Page:
    if request.url.path == "/":
        return see_other("/queue")
    wanted, now = _wanted(status, order, after), utc_now()
    async with resources_of(request).postgres.reading() as work:
        alerts = await _alerts(work, wanted, PAGE + 1)
        counts = await casework.alert_counts(work)
        names = await people.names_of(work, people_in(alerts))
    rows = [alert_row(alert, names, now) for alert in alerts[:PAGE]]
    more = place_text(alerts[PAGE - 1], order) if len(alerts) > PAGE else ""
    since = str(to_ms(now))
    context: dict[str, Any] = {
        "rows": rows,
        "tabs": tabs(counts, status, order),
        "empty_everywhere": sum(counts.values()) == 0,
        "order": order,
        "status": status,
        "by_loss_href": queue_href(status=status, order=BY_LOSS),
        "newest_href": queue_href(status=status),
        "first_page": not after,
        "first_href": queue_href(status=status, order=order),
        "more_href": queue_href(status=status, order=order, after=more) if more else "",
        "stream_href": queue_href("/stream/queue", since=since, status=status),
    }
    if is_fragment(request):
        return render(request, "_queue_more.html" if after else "_queue_body.html", context)
    return render(request, "queue.html", context)
