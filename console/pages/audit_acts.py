"""Having the trail checked against its seals, and taking a copy of it away. Both are themselves on the trail."""

import shutil
import tempfile
import zipfile
from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from litestar import post
from litestar.params import URLEncodedBody
from litestar.response import Stream

from console.access import ConsoleRequest, require, resources_of
from console.i18n import gettext as _
from console.refusals import told
from console.shell import Page, is_fragment, render, see_other
from console.trail import Asked, read_asked, with_payment
from console.views.audit import user_ids
from console.views.trail import CSV_HEAD, RECENT, check_state, csv_lines, csv_row
from core.acts.audit import Event, record
from core.acts.audit_bundle.writing import Span, export
from core.acts.audit_check import Begin, check_on, last_check
from core.base.clock import utc_now
from core.base.errors import InvalidInput, NotAllowedNow
from core.base.terms import Action, Role
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from core.stores import ledger, people, seals
from core.stores.ledger import AuditFilter

MOST_ROWS: Final = 100_000
"""Of a table for a spreadsheet."""
MOST_IN_BUNDLE: Final = 200_000
"""Events that the web process packs; more is the command line's."""
_BATCH: Final = 1000
_CHUNK: Final = 256 * 1024


@post("/audit/verify", guards=[require(Role.LEAD)], status_code=200)
async def verify(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Page:
    """One stretch. htmx gets the state, which goes on by itself when `on` was asked for; a plain form comes back to the page."""
    begin, on = data.get("begin", Begin.NEXT.value), bool(data.get("on"))
    if begin not in set(Begin):
        raise InvalidInput(_("There is no such place to begin at."))
    resources, problem = resources_of(request), ""
    try:
        since = utc_now() - RECENT
        await check_on(
            resources.postgres, keys_of(resources.settings, CHECKPOINTS), Begin(begin), since, by=request.user.actor
        )
    except NotAllowedNow as error:
        problem = told(error.detail)
    if not is_fragment(request) and not problem:
        return see_other("/audit#audit-check")
    async with resources.postgres.reading() as work:
        checked, newest = await last_check(work), await seals.newest(work)
        names = await people.names_of(work, user_ids([checked.by])) if checked else {}
    state = check_state(checked, newest, names, utc_now())
    context: dict[str, Any] = {"check": state, "problem": problem, "goes_on": on and not problem and not state.done}
    return render(
        request,
        "_audit_check.html" if is_fragment(request) else "audit_check.html",
        context,
        status=409 if problem else 200,
    )


@post("/audit/export", guards=[require(Role.LEAD)], status_code=200)
async def export_trail(request: ConsoleRequest, data: URLEncodedBody[dict[str, str]]) -> Stream:
    """`format`: csv = the events that match, as a table; bundle = whole seals of those days, to be checked without us."""
    asked, kind = read_asked(data), data.get("format", "")
    if kind == "csv":
        return await _table(request, asked)
    if kind == "bundle":
        return await _bundle(request, asked)
    raise InvalidInput(_("Choose what the copy is to be: a table or a bundle."))


async def _table(request: ConsoleRequest, asked: Asked) -> Stream:
    resources = resources_of(request)
    async with resources.postgres.unit_of_work() as work:
        chosen = await with_payment(work, asked)
        filters = {name: value for name, value in asked.given.items() if value}
        detail = {"format": "csv", "filters": filters, "at_most": MOST_ROWS}
        await record(work, Event(request.user.actor, Action.AUDIT_EXPORT, "audit_event", "table", detail))
    name = f"ronda-audit-{utc_now():%Y%m%d-%H%M%S}.csv"
    return Stream(_csv(resources, chosen), media_type="text/csv; charset=utf-8", headers=_attached(name))


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


async def _csv(resources: Resources, chosen: AuditFilter) -> AsyncIterator[bytes]:
    """A transaction for each thousand: a slow reader must hold none open. Nothing is ever inserted below a number that was read."""
    yield csv_lines([CSV_HEAD])
    below: int | None = None
    for _part in range(MOST_ROWS // _BATCH):
        async with resources.postgres.reading() as work:
            events = await ledger.page(work, chosen, before_id=below, limit=_BATCH)
            names = await people.names_of(work, user_ids((event.actor_type, event.actor_id) for event in events))
        if events:
            below = events[-1].id
            yield csv_lines(csv_row(event, names) for event in events)
        if len(events) < _BATCH:
            return


async def _bundle(request: ConsoleRequest, asked: Asked) -> Stream:
    """The folder that `ronda audit export` writes, zipped. Only days choose it: a seal's events prove nothing without each other."""
    resources = resources_of(request)
    keys = keys_of(resources.settings, CHECKPOINTS)
    if not keys.trusted:
        raise NotAllowedNow(_("There is no key to check the checkpoints with: set RONDA_AUDIT_TRUSTED_KEYS."))
    span = Span(asked.chosen.since, asked.chosen.until)
    async with resources.postgres.reading() as work:
        found = await seals.span(work, span.since, span.until)
        events = await seals.count_events(work, *found) if found else 0
    if events > MOST_IN_BUNDLE:
        raise InvalidInput(_("That is more than can be packed here. Choose fewer days, or use ronda audit export."))
    place = Path(await to_thread(tempfile.mkdtemp, prefix="ronda-audit-"))
    try:
        name = f"ronda-audit-{utc_now():%Y%m%d-%H%M%S}"
        await export(
            resources.postgres, keys, place / name, span, anchor=resources.settings.anchor_file, by=request.user.actor
        )
        packed = await to_thread(_pack, place / name)
    except BaseException:
        await to_thread(shutil.rmtree, place, ignore_errors=True)
        raise
    return Stream(_sent(packed, place), media_type="application/zip", headers=_attached(f"{name}.zip"))


def _pack(folder: Path) -> Path:
    packed = folder.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{folder.name}/{path.name}")
    return packed


async def _sent(packed: Path, place: Path) -> AsyncIterator[bytes]:
    """And then gone, also when the client left half way."""
    try:
        with packed.open("rb") as file:
            while chunk := await to_thread(file.read, _CHUNK):
                yield chunk
    finally:
        shutil.rmtree(place, ignore_errors=True)
