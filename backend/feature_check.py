"""`ronda features check`: do the features that were scored equal those of a replay from PostgreSQL?"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.infra.resources import Resources
from core.stores import flow
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.offline import replay
from workers.history import read_history

SHOWN = 10


@dataclass
class FeatureCheck:
    """`differing`: how often each feature differed; a vector differs when any of its features does."""

    vectors: int = 0
    unequal: int = 0
    differing: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.unequal

    def as_json(self) -> dict[str, Any]:
        return {
            "vectors": self.vectors,
            "unequal": self.unequal,
            "features": self.differing,
            "transactions": self.examples,
        }

    def words(self) -> str:
        lines = [f"{self.vectors:,} logged vectors compared, {self.unequal:,} differ from the replay"]
        lines += [f"  {name}: {count:,} times" for name, count in self.differing.most_common(SHOWN)]
        lines += [f"  e.g. transaction {uid}" for uid in self.examples]
        return "\n".join(lines)


async def check(resources: Resources) -> FeatureCheck:
    """Reads everything: about 1 kB of memory a payment."""
    async with resources.postgres.reading() as work:
        columns = await read_history(work)
    matrix = await asyncio.to_thread(replay, columns.history)
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
