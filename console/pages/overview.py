"""How the work goes, by day, and how the system stands. Reads what is measured in the background: see core.acts.overview."""

from datetime import UTC, timedelta
from typing import Any, Final

from litestar import get
from litestar.params import FromQuery

from console.access import ConsoleRequest, may, require, resources_of
from console.shell import Page, render
from console.views import overview as views
from console.views import standing
from console.views.audit import sealing
from console.views.days import read_days
from console.views.overview_charts import charts, more_charts
from console.views.words import moment
from core.base.clock import utc_now
from core.base.errors import InvalidInput
from core.base.ids import ModelId
from core.base.terms import Role
from core.infra.postgres import UnitOfWork
from core.stores import dead_letters, overview, policy, seals
from core.tables.policy import ModelWatch, RegisteredModel

RECENT_MIN: Final = 15
"""So far back a payment that was decided without features or model says that scoring is degraded."""
USUAL_WAIT_DAYS: Final = 45
"""Until most chargebacks are there, where the monitoring has not measured it."""


def _length(text: str) -> int:
    if text not in {str(days) for days in views.RANGES}:
        raise InvalidInput("The overview shows 7, 30 or 90 days.")
    return int(text)


def _old_enough_days(watch: ModelWatch | None) -> int:
    labels = (watch.figures.get("labels") if watch else None) or {}
    return int(labels.get("old_enough_days") or USUAL_WAIT_DAYS)


@get("/overview", guards=[require(Role.VIEWER)])
async def overview_page(request: ConsoleRequest, days: FromQuery[str] = "30") -> Page:
    length, now = _length(days), utc_now()
    today = now.astimezone(UTC).date()
    async with resources_of(request).postgres.reading() as work:
        rows = await overview.days(work, today - timedelta(days=length - 1))
        began = await overview.began(work)
        champion = await policy.champion(work)
        watch = await policy.latest_watch(work, ModelId(champion.id)) if champion else None
        strip = await _strip(work, champion, watch)
        sources = standing.source_lines(await overview.sources(work), now)
    wait = _old_enough_days(watch)
    known = read_days(rows, today, length, began.date() if began else today, wait) if rows else []
    context: dict[str, Any] = {
        "length": length,
        "ranges": [(each, f"/overview?days={each}") for each in views.RANGES],
        "as_of": moment(rows[-1].measured_at, now) if rows else None,
        "day_begins": views.day_begins(today),
        "begun": began is not None,
        "wait_days": wait,
        "tiles": views.tiles(known) if known else [],
        "money_tiles": views.money_tiles(known) if known else [],
        "charts": charts(known) if known else [],
        "more_charts": more_charts(known) if known else [],
        "strip": [*strip, standing.last_payment(sources)],
        "sources": sources,
        "may_audit": may(request.user, Role.LEAD),
    }
    return render(request, "overview.html", context)


async def _strip(work: UnitOfWork, champion: RegisteredModel | None, watch: ModelWatch | None) -> list[standing.Entry]:
    now = utc_now()
    without = await overview.decided_without(work, now - timedelta(minutes=RECENT_MIN), standing.MOST_COUNTED)
    waiting = await dead_letters.count_waiting_up_to(work, standing.MOST_COUNTED)
    sealed = sealing(
        await seals.newest(work), await seals.newest_checkpoint(work), await seals.oldest_unsealed(work), now
    )
    return [
        standing.scoring(without, RECENT_MIN),
        standing.letters(waiting, standing.MOST_COUNTED),
        standing.champion(champion, bool(watch and watch.proposal), now),
        standing.seal(sealed),
    ]
