"""What the scorer would say had one thing about a payment been different. No decision, and recorded nowhere."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from litestar import get
from litestar.params import FromPath

from console.access import ConsoleRequest, require, resources_of
from console.asked import read_amount
from console.i18n import gettext as _
from console.refusals import told
from console.shell import Page, is_fragment, render
from console.views import what_if as views
from console.what_if import NEW_DEVICE, Choices, Desk, Wish, asked, desk_for, single_changes, variant
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotFound
from core.base.money import to_minor
from core.base.terms import FeaturesStatus, Role
from core.stores import casework, flow
from core.tables.flow import Decision
from models.features.catalogue import CATALOGUE_VERSION, NAMES


def read_wish(query: Mapping[str, str], currency: str, choices: Choices) -> Wish:
    """Raises InvalidInput in words."""
    return Wish(
        amount_minor=_amount(query.get("amount", "").strip(), currency),
        hour=_hour(query.get("hour", "")),
        device=_one_of(query.get("device", ""), {*choices.devices, NEW_DEVICE}),
        category=_one_of(query.get("category", ""), choices.categories),
        country=_one_of(query.get("country", ""), choices.countries),
        channel=_one_of(query.get("channel", ""), choices.channels),
    )


def _amount(text: str, currency: str) -> int | None:
    if not text:
        return None
    with suppress(ValueError):
        return to_minor(read_amount(text), currency)
    raise InvalidInput(_("“%(text)s” is not an amount. Write it like 1250.50.", text=text[:40]))


def _hour(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < 24):
        raise InvalidInput(_("An hour is a whole number from 0 to 23."))
    return int(text)


def _one_of(text: str, choices: Any) -> str:
    if text and text not in choices:
        raise InvalidInput(_("There is no such choice any more. Choose again."))
    return text


def why_not(decision: Decision | None) -> str:
    """Why nothing can be asked about this payment; empty when something can."""
    if decision is None:
        return _("This payment has no decision yet.")
    if decision.features_status != FeaturesStatus.COMPLETE.value:
        return _(
            "This payment was decided without all its features: there is nothing that could be changed one by one."
        )
    if decision.catalogue_version != CATALOGUE_VERSION or len(decision.features) != len(NAMES):
        return _("This payment was decided with an older catalogue of features, which the model in use does not know.")
    return ""


@get("/alerts/{alert_id:uuid}/what-if", guards=[require(Role.VIEWER)])
async def what_if_page(request: ConsoleRequest, alert_id: FromPath[UUID]) -> Page:
    resources = resources_of(request)
    async with resources.postgres.reading() as work:
        alert = await casework.alert(work, alert_id)
        if alert is None:
            raise NotFound(_("There is no such alert."))
        row = await flow.transaction(work, alert.transaction_uid)
        assert row is not None  # alerts reference it
        decision = await flow.latest_decision(work, row.uid)
        closed = why_not(decision)
        desk = await desk_for(work, row, decision) if decision and not closed else None
    context: dict[str, Any] = {"alert_id": str(alert_id), "closed": closed, "problem": "", "ready": False}
    status = 200
    if desk:
        found = await _considered(request, desk)
        status = 422 if found["problem"] else 200
        context |= found
    template = "_what_if.html" if is_fragment(request) else "what_if.html"
    return render(request, template, context, status=status)


async def _considered(request: ConsoleRequest, desk: Desk) -> dict[str, Any]:
    query = {name: str(value) for name, value in request.query_params.items()}
    problem, wish = "", Wish()
    try:
        wish = read_wish(query, desk.row.currency, desk.choices)
    except InvalidInput as error:
        problem = told(error.detail)
    if wish.amount_minor == desk.row.amount_minor:
        wish = Wish(None, wish.hour, wish.device, wish.category, wish.country, wish.channel)
    singles = single_changes(desk)
    variants = [variant(desk, each) for each in (Wish(), wish, *singles)]
    answer = await asked(resources_of(request).redis, variants)
    context: dict[str, Any] = {
        "ready": True,
        "problem": problem,
        "fields": views.fields(desk, wish, utc_now()),
        "amount": query.get("amount", "") if problem else views.amount_text(desk, wish),
        "currency": desk.row.currency,
        "silent": answer is None,
        "now": None,
        "then": None,
    }
    if answer:
        own, then, *each = answer.said
        context |= {
            "now": views.verdict(own),
            "then": views.verdict(then) if wish.any else None,
            "moved": views.moved(desk, variants[1].features),
            "clearing": views.clearing(desk, singles, each, f"/alerts/{request.path_params['alert_id']}/what-if"),
            "strongest": views.strongest(desk, own, singles, each),
            "said": views.said_words(answer, desk.decision.model_id),
            "alerted": own.outcome != "approve",
        }
    return context
