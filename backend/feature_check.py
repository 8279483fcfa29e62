"""`ronda features check`: do the features that were scored, and those that would be scored now, equal a replay from PostgreSQL?"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from core.infra.resources import Resources
from core.stores import accepting, flow
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.offline import Report, replay
from models.features.online import OnlineFeatures
from workers.comparing import Comparison, compare
from workers.history import read_history

SHOWN = 10


@dataclass
class FeatureCheck:
    """`differing`: how often each feature differed; a vector differs when any of its features does. live: of what Redis answers now; None
    = it was not asked. ahead: payments of the last days that Redis took and PostgreSQL does not hold.
    """

    vectors: int = 0
    unequal: int = 0
    differing: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    live: Comparison | None = None
    ahead: int = 0

    @property
    def equal(self) -> bool:
        return not (self.unequal or self.ahead or (self.live and self.live.differences))

    def as_json(self) -> dict[str, Any]:
        return {
            "vectors": self.vectors,
            "unequal": self.unequal,
            "features": self.differing,
            "transactions": self.examples,
            "ahead": self.ahead,
            "live": self.live
            and {
                "entities": self.live.entities,
                "values": self.live.values,
                "differing": len(self.live.differing),
                "differences": [one.as_json() for one in self.live.differences[:SHOWN]],
                "unsettled": self.live.unsettled,
                "too_large": self.live.too_large,
            },
        }

    def words(self) -> str:
        lines = [f"{self.vectors:,} logged vectors compared, {self.unequal:,} differ from the replay"]
        lines += [f"  {name}: {count:,} times" for name, count in self.differing.most_common(SHOWN)]
        lines += [f"  e.g. transaction {uid}" for uid in self.examples]
        lines += _live_words(self.live) if self.live else []
        if self.ahead:
            lines.append(
                f"Redis is ahead: {self.ahead:,} payments in it are not in PostgreSQL. Was that restored from an older copy? Then: "
                "ronda features rebuild"
            )
        return "\n".join(lines)


def _live_words(live: Comparison) -> list[str]:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(live.entities.items()))
    lines = [
        f"{live.compared:,} entities compared with what Redis answers now ({kinds or 'none'}), {len(live.differing):,} differ",
    ]
    lines += [f"  {one.words()}" for one in live.differences[:SHOWN]]
    lines += [f"  {live.unsettled:,} changed too often to be compared"] if live.unsettled else []
    return lines + ([f"  {live.too_large:,} have too many payments to be compared"] if live.too_large else [])


async def check_live(resources: Resources, entities: int, report: Report) -> Comparison:
    """Of entities that are drawn anew each time."""
    return await compare(resources, entities, draw=random.Random(), report=report)  # noqa: S311 - a sample


async def count_ahead(resources: Resources) -> int:
    """Payments that Redis remembers and PostgreSQL does not hold. What was taken was committed before, so there are none but after a loss.

    Raises FeaturesUnavailable, Unavailable.
    """
    found: set[UUID] = set()
    async for uids in OnlineFeatures(resources.redis).remembered():
        async with resources.postgres.reading() as work:
            found |= await accepting.unknown(work, uids)
    return len(found)


async def check(resources: Resources, report: Report = lambda _share: None) -> FeatureCheck:
    """Of everything that was scored: about 1 kB of memory a payment."""
    async with resources.postgres.reading() as work:
        columns = await read_history(work)
    matrix = await asyncio.to_thread(replay, columns.history, report=report)
    row_of = {uid: row for row, uid in enumerate(columns.uids)}
    found = FeatureCheck()
    async with resources.postgres.reading() as work:
        async for batch in flow.walk_logged_vectors(work, CATALOGUE_VERSION):
            for uid, logged in batch:
                row = row_of.get(uid.bytes)
                if row is not None and len(logged) == len(NAMES):
                    _compare(found, str(uid), np.array(logged, dtype=np.float64), matrix[row])
    return found


def _compare(found: FeatureCheck, uid: str, logged: np.ndarray[Any, Any], replayed: np.ndarray[Any, Any]) -> None:
    found.vectors += 1
    different = ~((logged == replayed) | (np.isnan(logged) & np.isnan(replayed)))
    if different.any():
        found.unequal += 1
        found.differing.update(NAMES[place] for place in np.flatnonzero(different))
        if len(found.examples) < SHOWN:
            found.examples.append(uid)
