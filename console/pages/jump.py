"""Straight to an alert, a payment or an entity whose id is known."""

from dataclasses import dataclass
from uuid import UUID

from litestar import get
from litestar.params import FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.views.words import entity
from core.base.terms import EntityKind, Role
from core.infra.postgres import UnitOfWork
from core.stores import jump

_LONGEST = 128
_SHORTEST_START = 3


@dataclass(frozen=True)
class Hit:
    id: str
    title: str
    icon: str
    href: str


def _payment(found: jump.PaymentHit) -> Hit:
    title = _("Payment from %(source)s", source=found.source_id)
    return Hit(found.transaction_id, title, "arrow-left-right", f"/transactions/{found.uid}")


def _entity(kind: EntityKind, ident: str) -> Hit | None:
    link = entity(kind, ident)
    return Hit(link.id, link.title, link.icon, link.href) if link else None


async def _with_uuid(work: UnitOfWork, words: str) -> list[Hit]:
    try:
        ident = UUID(words)
    except ValueError:
        return []
    alert, payment = await jump.alert_with(work, ident), await jump.payment_with(work, ident)
    found = (
        [Hit(words, _("Alert on %(customer)s", customer=alert.customer_id), "inbox", f"/alerts/{ident}")]
        if alert
        else []
    )
    return [*found, *([_payment(payment)] if payment else [])]


async def _hits(work: UnitOfWork, words: str) -> list[Hit]:
    found = await _with_uuid(work, words)
    found += [_payment(row) for row in await jump.payments_named(work, words)]
    named = [_entity(kind, words) for kind in await jump.kinds_named(work, words)]
    starts = await jump.customers_beginning(work, words) if len(words) >= _SHORTEST_START else []
    begun = [_entity(EntityKind.CUSTOMER, ident) for ident in starts if ident != words]
    return [*found, *(hit for hit in (*named, *begun) if hit)]


@get("/jump", guards=[require(Role.VIEWER)])
async def jump_page(request: ConsoleRequest, q: FromQuery[str] = "") -> Page:
    words = q.strip()[:_LONGEST]
    hits: list[Hit] = []
    if words and words.isprintable():
        async with resources_of(request).postgres.reading() as work:
            hits = await _hits(work, words)
    template = "_jump.html" if is_fragment(request) else "jump.html"
    return render(request, template, {"q": words, "hits": hits})
