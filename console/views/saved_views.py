"""A view that somebody keeps, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from console.i18n import gettext as _
from console.views.queue_bar import ORDERS
from console.views.queue_filters import chips
from console.views.queue_url import QueueView, read_query
from console.views.words import Moment, moment
from core.base.errors import InvalidInput
from core.tables.casework import SavedView


@dataclass(frozen=True)
class SavedViewRow:
    id: str
    name: str
    href: str
    words: str
    owner: str
    shared: bool
    saved: Moment


def view_words(view: QueueView, rules: Mapping[str, str]) -> str:
    """`Outcome: Review; Amount: from 1,000; Newest first`"""
    return "; ".join([*(f"{chip.title}: {chip.words}" for chip in chips(view, rules)), ORDERS[view.order]])


def saved_view_row(row: SavedView, owner: str, rules: Mapping[str, str], now: datetime) -> SavedViewRow:
    try:
        view = read_query(row.query)
        href, words = view.href(), view_words(view, rules)
    except InvalidInput:
        href, words = "", _("This view has a filter that there is no longer.")
    return SavedViewRow(str(row.id), row.name, href, words, owner, row.shared, moment(row.created_at, now))
