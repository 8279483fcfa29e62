"""The payments that made a reason's number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar import get
from litestar.params import FromPath, FromQuery

from console.access import ConsoleRequest, require, resources_of
from console.i18n import gettext as _
from console.shell import Page, is_fragment, render
from console.views import behind as views
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotFound
from core.base.terms import Label, Role
from core.infra.postgres import UnitOfWork
from core.stores import casework, evidence, flow
from core.stores.evidence import Behind, Slice
from core.tables.flow import Transaction
from models.scoring.evidence import AMOUNTS, FRAUDS, LABELS, PAIR, PLACES, Evidence

PAGE: Final = 20
_MOST_PAGES: Final = 500


@dataclass(frozen=True)
class Found:
    """labels: those that made the number, by payment; empty where payments made it."""

    behind: Behind
    labels: Mapping[UUID, str] = field(default_factory=dict)


async def find(work: UnitOfWork, row: Transaction, sought: Evidence, part: Slice) -> Found:
    """What was known of it when `row` was scored."""
    if sought.what in (FRAUDS, LABELS):
        return await _labels(work, row, sought, part)
    subjects = [sought.entity, *([sought.other] if sought.other else [])]
    if sought.what == PAIR:
        return Found(await evidence.pair_behind(work, row, subjects, part, most=sought.count or 0))
    behind = await evidence.payments_behind(
        work,
        row,
        subjects,
        part,
        window=_window(sought),
        most=sought.most,
        with_itself=sought.what != AMOUNTS,
        located=sought.what == PLACES,
        distinct=sought.distinct,
    )
    return Found(behind)


def _window(sought: Evidence) -> timedelta | None:
    return None if sought.window_s is None else timedelta(seconds=sought.window_s)


async def _labels(work: UnitOfWork, row: Transaction, sought: Evidence, part: Slice) -> Found:
    counted = await evidence.labels_behind(work, row, sought.entity, window=_window(sought), by_day=sought.by_day)
    if sought.what == FRAUDS:
        counted = [label for label in counted if label.label == Label.FRAUD.value]
    counted = counted[: sought.most]
    shown = counted[part.skip : part.skip + part.limit]
    uids = list(dict.fromkeys(label.transaction_uid for label in shown))
    return Found(Behind(len(counted), uids), {label.transaction_uid: label.label for label in reversed(shown)})


@get("/transactions/{uid:uuid}/reasons/{code:str}", guards=[require(Role.VIEWER)])
async def behind_page(
    request: ConsoleRequest, uid: FromPath[UUID], code: FromPath[str], page: FromQuery[str] = "1"
) -> Page:
    part = Slice((_page(page) - 1) * PAGE, PAGE)
    async with resources_of(request).postgres.reading() as work:
        row = await flow.transaction(work, uid)
        decision = await flow.latest_decision(work, uid)
        if row is None or decision is None:
            raise NotFound(_("There is no such decision."))
        reason = next((stored for stored in decision.reasons if stored["code"] == code), None)
        if reason is None or "evidence" not in reason:
            raise NotFound(_("No payments were kept with this reason."))
        sought = Evidence.of_json(reason["evidence"])
        found = await find(work, row, sought, part)
        listed = await flow.transactions_decided(work, found.behind.uids)
        labels = {} if found.labels else await casework.labels_by_transaction(work, found.behind.uids)
        alert = await casework.alert_of(work, uid)
    told = found.labels or {key: label.label for key, label in labels.items()}
    context = views.behind(row, reason, sought, found.behind, listed, told, part, utc_now())
    context |= {"back_href": f"/alerts/{alert.id}" if alert else f"/transactions/{uid}"}
    return render(request, "_behind.html" if is_fragment(request) else "behind.html", context)


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= _MOST_PAGES and len(text) < 4):
        raise InvalidInput(_("There is no such page. Open the reason again."))
    return int(text)
