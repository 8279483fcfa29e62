"""What stands around the queue's rows: views with their badges, facets, chips, columns, and what to do about an empty list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from console.i18n import Words, marked, ngettext
from console.i18n import gettext as _
from console.views.queue import badge
from console.views.queue_url import COLUMNS, QueueView
from console.views.words import count
from core.base.terms import DueState
from core.stores.queue import Order
from core.stores.queue_counts import Facets
from core.stores.queue_filter import AlertFilter, Standing
from core.tables.casework import SavedView

COLUMN_TITLES: Final = Words(
    {
        "score": marked("Score"),
        "loss": marked("Expected loss"),
        "amount": marked("Amount"),
        "outcome": marked("Outcome"),
        "reason": marked("Why"),
        "customer": marked("Customer"),
        "merchant": marked("Merchant"),
        "age": marked("Age"),
        "due": marked("Time left"),
        "holder": marked("Status"),
    }
)
ORDERS: Final = Words(
    {
        Order.NEWEST: marked("Newest first"),
        Order.LOSS: marked("Largest expected loss first"),
        Order.DUE: marked("Due first"),
        Order.AMOUNT: marked("Largest amount first"),
        Order.SCORE: marked("Highest score first"),
    }
)


@dataclass(frozen=True)
class ViewLink:
    key: str
    title: str
    href: str
    count: str
    current: bool
    shared_by: str = ""
    """Whose view this is, when a colleague shares it."""


def default_views(high_value_from: int) -> dict[str, QueueView]:
    """Views that everybody has. Keys of the badges that the live stream keeps current."""
    return {
        "todo": QueueView(),
        "mine": QueueView(AlertFilter(standing=Standing.MINE), Order.DUE),
        "due": QueueView(AlertFilter(due=(DueState.SOON, DueState.OVERDUE)), Order.DUE),
        "high": QueueView(AlertFilter(amount_from=Decimal(high_value_from)), Order.LOSS),
        "control": QueueView(AlertFilter(control=True)),
        "closed": QueueView(AlertFilter(standing=Standing.CLOSED)),
    }


VIEW_TITLES: Final = Words(
    {
        "todo": marked("All open"),
        "mine": marked("Mine"),
        "due": marked("Due soon"),
        "high": marked("High value"),
        "control": marked("Control sample"),
        "closed": marked("Closed"),
    }
)


def view_links(views: Mapping[str, QueueView], counts: Sequence[int | None], current: QueueView) -> list[ViewLink]:
    """Columns that were hidden stay hidden from view to view."""
    return [
        ViewLink(
            key,
            VIEW_TITLES[key],
            replace(view, hidden=current.hidden).href(),
            badge(number),
            view.wanted == current.wanted,
        )
        for (key, view), number in zip(views.items(), counts, strict=True)
    ]


def saved_links(
    saved: Sequence[tuple[SavedView, QueueView]],
    counts: Sequence[int | None],
    owners: Mapping[Any, str],
    current: QueueView,
) -> list[ViewLink]:
    """owners: names of colleagues whose views are among them."""
    return [
        ViewLink(f"view-{row.id}", row.name, view.href(), badge(number), view == current, owners.get(row.owner_id, ""))
        for (row, view), number in zip(saved, counts, strict=True)
    ]


@dataclass(frozen=True)
class Column:
    key: str
    title: str
    shown: bool
    order_href: str
    """Where its heading leads; empty for one the queue is not ordered by."""
    order_title: str
    sorted: str
    """aria-sort, when the queue is ordered by it."""
    mark: str
    number: bool


_ORDER_OF: Final = {
    "score": Order.SCORE,
    "loss": Order.LOSS,
    "amount": Order.AMOUNT,
    "age": Order.NEWEST,
    "due": Order.DUE,
}


def columns(view: QueueView) -> list[Column]:
    found = []
    for key in ("score", *COLUMNS):
        order = _ORDER_OF.get(key)
        direction = "ascending" if order in (Order.DUE, Order.NEWEST) else "descending"
        found.append(
            Column(
                key,
                COLUMN_TITLES[key],
                key not in view.hidden,
                replace(view, order=order).href() if order else "",
                ORDERS[order] if order else "",
                direction if order is view.order else "",
                "arrow-up" if direction == "ascending" else "arrow-down",
                key in ("loss", "amount", "age"),
            )
        )
    return found


def total_words(facets: Facets) -> str:
    if facets.cut:
        return _("%(num)s or more alerts", num=count(facets.total))
    return ngettext("%(count)s alert", "%(count)s alerts", facets.total, count=count(facets.total))


def shown_words(before: int, here: int, facets: Facets) -> str:
    """`Showing 100 of 312`, also when they came in several steps."""
    total = count(facets.total) + ("+" if facets.cut else "")
    return _("Showing %(shown)s of %(total)s", shown=count(before + here), total=total)
