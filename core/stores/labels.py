"""SQL of the labels' history: newest first, and where one label contradicts another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select

from core.base.terms import Label, LabelSource
from core.infra.postgres import UnitOfWork
from core.tables.casework import Alert, TransactionLabel

EXAMINED: Final = 20_000
"""Labels that one page looks through for those that were asked for; further back is a further page."""


class Which(StrEnum):
    """reported: since Ronda decides, also what was withdrawn; conflict: another source says something else; overturned: an analyst had
    called legitimate what turned out to be fraud; imported: came together with past payments.
    """

    REPORTED = "reported"
    CONFLICT = "conflict"
    OVERTURNED = "overturned"
    IMPORTED = "imported"


@dataclass(frozen=True)
class LabelFilter:
    """Empty fields do not filter. actor: the id of a user or key, or a process's name. Times are of receipt."""

    which: Which = Which.REPORTED
    source: str = ""
    label: str = ""
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None


_BEGINNING: Final = datetime(1, 1, 2, tzinfo=UTC)
_END: Final = datetime(9999, 12, 30, tzinfo=UTC)

Place = tuple[datetime, UUID]
"""(received at, id): strictly older than this."""


@dataclass(frozen=True)
class Found:
    """`further`: where to look on, None = the whole history was looked through."""

    ids: list[UUID]
    further: Place | None


_REPORTED: Final = [source.value for source in LabelSource if source is not LabelSource.IMPORT]
_SOURCES: Final = {
    Which.REPORTED: _REPORTED,
    Which.CONFLICT: _REPORTED,
    Which.IMPORTED: [LabelSource.IMPORT.value],
    Which.OVERTURNED: [LabelSource.CUSTOMER.value, LabelSource.CHARGEBACK.value],
}
_CONDITIONS: Final = {
    Which.REPORTED: "",
    Which.IMPORTED: "",
    Which.CONFLICT: """
        AND l.withdrawn_at IS NULL AND l.label <> :unsure AND EXISTS (SELECT FROM label AS o WHERE o.transaction_uid = l.transaction_uid
            AND o.label_source <> l.label_source AND o.label <> l.label AND o.label <> :unsure
            AND o.withdrawn_at IS NULL)
    """,
    Which.OVERTURNED: """
        AND l.withdrawn_at IS NULL AND l.label = :fraud AND EXISTS (SELECT FROM label AS o WHERE o.transaction_uid = l.transaction_uid
            AND o.label_source = :analyst AND o.label = :legitimate AND o.received_at <= l.received_at
            AND o.withdrawn_at IS NULL)
    """,
}
# Each source's own index is walked from its newest label on, and what they find is merged: no sort over the table.
_WALK: Final = """
    FROM unnest(CAST(:sources AS text[])) AS source (name)
    CROSS JOIN LATERAL (
        SELECT id, transaction_uid, label, label_source, received_at, actor_id, withdrawn_at FROM label
        WHERE label_source = source.name AND (received_at, id) < (:place_at, :place_id)
        AND received_at >= :since ORDER BY received_at DESC, id DESC LIMIT :examined) AS l
"""


async def find(work: UnitOfWork, chosen: LabelFilter, *, after: Place | None, limit: int) -> Found:
    """Ids of labels, newest received first; `limit` is at least 2, and one more than are shown."""
    plain = (
        not _CONDITIONS[chosen.which] and not chosen.label and not chosen.actor
    )  # then the first ones are those asked for
    place_at, place_id = after or (chosen.until or _END, UUID(int=0))
    values: dict[str, Any] = {
        "sources": [name for name in _SOURCES[chosen.which] if chosen.source in ("", name)],
        "place_at": place_at,
        "place_id": place_id,
        "since": chosen.since or _BEGINNING,
        "examined": limit if plain else EXAMINED,
        "limit": limit,
        "label": chosen.label,
        "actor": chosen.actor,
        "unsure": Label.UNSURE.value,
        "fraud": Label.FRAUD.value,
        "legitimate": Label.LEGITIMATE.value,
        "analyst": LabelSource.ANALYST.value,
    }
    query = text(
        f"SELECT l.received_at, l.id {_WALK} WHERE (:label = '' OR l.label = :label) AND (:actor = '' OR l.actor_id = :actor) "
        f"{_CONDITIONS[chosen.which]} ORDER BY l.received_at DESC, l.id DESC LIMIT :limit"
    )
    rows = [(row[0], row[1]) for row in await work.run(query, values)]
    if len(rows) == limit:
        return Found([ident for _, ident in rows[:-1]], rows[-2])
    further = await _looked_through(work, values)
    return Found([ident for at, ident in rows if further is None or (at, ident) >= further], further)


async def _looked_through(work: UnitOfWork, values: dict[str, Any]) -> Place | None:
    """The newest place where one source's examined stretch ended; None when all of them ended of themselves."""
    query = text(
        "SELECT (array_agg(l.received_at ORDER BY l.received_at, l.id))[1], (array_agg(l.id ORDER BY l.received_at, l.id))[1], "
        f"count(*) {_WALK} GROUP BY source.name"
    )
    known = {name: values[name] for name in ("sources", "place_at", "place_id", "since", "examined")}
    return max(
        ((at, ident) for at, ident, many in await work.run(query, known) if many == values["examined"]), default=None
    )


async def by_id(work: UnitOfWork, ids: Sequence[UUID]) -> Sequence[TransactionLabel]:
    """Newest received first."""
    query = (
        select(TransactionLabel)
        .where(col(TransactionLabel.id).in_(ids))
        .order_by(col(TransactionLabel.received_at).desc(), col(TransactionLabel.id).desc())
        .limit(len(ids))
    )
    return (await work.session.exec(query)).all()


async def about(work: UnitOfWork, uids: Sequence[UUID]) -> Sequence[TransactionLabel]:
    """Every label of these payments, oldest received first."""
    query = (
        select(TransactionLabel)
        .where(col(TransactionLabel.transaction_uid).in_(uids), col(TransactionLabel.withdrawn_at).is_(None))
        .order_by(col(TransactionLabel.received_at), col(TransactionLabel.id))
        .limit(len(uids) * 8)
    )
    return (await work.session.exec(query)).all()


async def alerts_about(work: UnitOfWork, uids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Payment -> its alert."""
    query = select(Alert.transaction_uid, Alert.id).where(col(Alert.transaction_uid).in_(uids)).limit(len(uids))
    return {row[0]: row[1] for row in (await work.session.exec(query)).all()}
