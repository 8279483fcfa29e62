"""Alerts that share something with a payment: rows, and a small graph whose nodes are placed by hand-made rules, not by a force model.

The payment stands in the middle, what it shares around it, the alerts on the outside, each beside the most telling thing it shares. The
same links give the same picture, and no two nodes cover each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

from console.i18n import gettext as _
from console.i18n import ngettext
from console.views.queue import AlertRow, alert_row
from console.views.words import LABELS, middle
from core.base.terms import AlertStatus, Label
from core.stores.surroundings import LINKS, LinkedAlert
from core.tables.casework import TransactionLabel
from core.tables.flow import Transaction

MOST_DRAWN: Final = 36
"""Alerts in the picture: as many as fit on its outer ring without touching."""
WIDTH, HEIGHT = 640, 380
_FEW: Final = 6
_LOW: Final = 0.68
"""With few alerts the picture is so much lower."""
_CENTRE: Final = (0.0, 0.0)
_INNER: Final = (150.0, 88.0)
_OUTER: Final = (290.0, 164.0)
_ICONS: Final = {
    "card": "credit-card",
    "device": "smartphone",
    "email": "message-square",
    "ip": "globe",
    "customer": "user",
    "merchant": "store",
}
_STATE_ICONS: Final = {
    Label.FRAUD.value: "circle-x",
    Label.LEGITIMATE.value: "circle-check",
    Label.UNSURE.value: "circle-question-mark",
    AlertStatus.OPEN.value: "inbox",
    AlertStatus.CLAIMED.value: "lock",
    AlertStatus.CLOSED.value: "check",
}


def kind_words(kind: str) -> str:
    return {
        "card": _("Card"),
        "device": _("Device"),
        "email": _("E-mail address"),
        "ip": _("IP address"),
        "customer": _("Customer"),
        "merchant": _("Merchant"),
    }[kind]


@dataclass(frozen=True)
class Shared:
    kind: str
    words: str
    icon: str


@dataclass(frozen=True)
class LinkRow:
    row: AlertRow
    shared: list[Shared]
    label: str
    label_kind: str


@dataclass(frozen=True)
class Node:
    """x, y: its middle. href: empty where there is no page to open."""

    x: str
    y: str
    kind: str
    icon: str
    words: str
    """In the picture; empty for alerts, whose words are their title."""
    title: str
    href: str
    id: str


@dataclass(frozen=True)
class Edge:
    x1: str
    y1: str
    x2: str
    y2: str
    kind: str


@dataclass(frozen=True)
class Graph:
    size: str
    nodes: list[Node]
    edges: list[Edge]
    summary: str
    left_out: str


@dataclass(frozen=True)
class Links:
    rows: list[LinkRow]
    sentence: str
    graph: Graph | None


def links(
    row: Transaction,
    linked: Sequence[LinkedAlert],
    labels: Mapping[UUID, TransactionLabel],
    names: Mapping[UUID, str],
    now: datetime,
) -> Links:
    """linked: newest first. labels: by payment."""
    rows = [_link_row(link, labels.get(link.alert.transaction_uid), names, now) for link in linked]
    return Links(rows, _sentence(rows), graph(row, rows) if rows else None)


def _link_row(link: LinkedAlert, label: TransactionLabel | None, names: Mapping[UUID, str], now: datetime) -> LinkRow:
    return LinkRow(
        row=alert_row(link.alert, names, now),
        shared=[Shared(kind, kind_words(kind), _ICONS[kind]) for kind in link.shared],
        label=LABELS[Label(label.label)] if label else "",
        label_kind=label.label if label else "",
    )


def _sentence(rows: Sequence[LinkRow]) -> str:
    """`7 other alerts share something with this payment; 3 of them turned out to be fraud.`"""
    if not rows:
        return _("No other alert shares this card, device, e-mail address, IP address, customer or merchant.")
    said = ngettext(
        "%(num)s other alert shares something with this payment.",
        "%(num)s other alerts share something with this payment.",
        len(rows),
    )
    frauds = sum(1 for row in rows if row.label_kind == Label.FRAUD.value)
    if not frauds:
        return said
    known = ngettext("%(num)s of them turned out to be fraud.", "%(num)s of them turned out to be fraud.", frauds)
    return f"{said} {known}"


def graph(row: Transaction, rows: Sequence[LinkRow]) -> Graph:
    """rows: at least one. Those that share the most telling things are drawn when there are too many."""
    rank = list(LINKS)
    drawn = sorted(rows, key=lambda link: rank.index(link.shared[0].kind))[:MOST_DRAWN]
    kinds = [kind for kind in LINKS if any(shared.kind == kind for link in drawn for shared in link.shared)]
    beside = {kind: [link for link in drawn if link.shared[0].kind == kind] for kind in kinds}
    flat = _LOW if len(drawn) <= _FEW else 1.0
    places = _places(beside, flat)
    things = {kind: places[kind][0] for kind in kinds}
    alerts = {link.row.id: spot for kind in kinds for link, spot in zip(beside[kind], places[kind][1], strict=True)}
    nodes = [
        _node("this", _CENTRE, "", _("This payment"), _("This payment"), "", "this"),
        *(_thing(row, kind, things[kind]) for kind in kinds),
        *(_alert(link, alerts[link.row.id]) for link in drawn),
    ]
    edges = [_edge(_CENTRE, things[kind], "own") for kind in kinds]
    edges += [
        _edge(things[shared.kind], alerts[link.row.id], "first" if place == 0 else "also")
        for link in drawn
        for place, shared in enumerate(link.shared)
    ]
    left = len(rows) - len(drawn)
    return Graph(
        size=f"{-WIDTH / 2:.0f} {-HEIGHT * flat / 2:.0f} {WIDTH} {HEIGHT * flat:.0f}",
        nodes=nodes,
        edges=edges,
        summary=_(
            "This payment in the middle, what it shares around it, and the alerts that share it. The table says the same."
        ),
        left_out=ngettext("%(num)s more is in the table only.", "%(num)s more are in the table only.", left)
        if left
        else "",
    )


_Spot = tuple[float, float]


def _places(beside: Mapping[str, Sequence[LinkRow]], flat: float) -> dict[str, tuple[_Spot, list[_Spot]]]:
    """For each kind its own place and those of its alerts: a sector as wide as it has alerts, one at least."""
    shares = {kind: max(len(links), 1) for kind, links in beside.items()}
    whole, start, places = sum(shares.values()), 0.0, {}
    for kind, share in shares.items():
        turn = share / whole
        own = _on(_INNER, start + turn / 2, flat)
        outer = [_on(_OUTER, start + turn * (place + 0.5) / share, flat) for place in range(len(beside[kind]))]
        places[kind] = (own, outer)
        start += turn
    return places


def _on(ellipse: _Spot, turn: float, flat: float) -> _Spot:
    """A point of the ellipse, `turn` of the way round from the left."""
    angle = math.pi + 2 * math.pi * turn
    return ellipse[0] * math.cos(angle), ellipse[1] * flat * math.sin(angle)


def _node(kind: str, at: _Spot, icon: str, words: str, title: str, href: str, ident: str) -> Node:
    return Node(f"{at[0]:.1f}", f"{at[1]:.1f}", kind, icon, words, title, href, ident)


def _thing(row: Transaction, kind: str, at: _Spot) -> Node:
    ident = str(getattr(row, LINKS[kind]))
    href = "" if kind == "email" else f"/entities/{kind}/{quote(ident, safe='')}"
    return _node("thing", at, _ICONS[kind], middle(ident, 16), f"{kind_words(kind)} {ident}", href, kind)


def _alert(link: LinkRow, at: _Spot) -> Node:
    state = link.label_kind or link.row.status
    shares = ", ".join(shared.words for shared in link.shared)
    title = _(
        "Alert: %(amount)s, %(state)s, opened %(opened)s, shares %(shares)s",
        amount=link.row.amount, state=link.label or link.row.status_words, opened=link.row.opened.short, shares=shares,
    )  # fmt: skip
    return _node(state, at, _STATE_ICONS[state], "", title, link.row.href, link.row.id)


def _edge(one: _Spot, other: _Spot, kind: str) -> Edge:
    return Edge(f"{one[0]:.1f}", f"{one[1]:.1f}", f"{other[0]:.1f}", f"{other[1]:.1f}", kind)
