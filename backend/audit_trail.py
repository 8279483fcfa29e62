"""`ronda audit verify`: does every stored audit event still hash to its leaf?"""

from dataclasses import dataclass, field
from datetime import timedelta

from core.acts.audit import recomputed_leaf
from core.infra.postgres import UnitOfWork
from core.stores import ledger

MOST_APART = timedelta(minutes=5)
"""Between the writer's clock (in the leaf) and the server's (not in it): more means one of them was set, or the row was forged."""
SHOWN = 20


@dataclass
class TrailReport:
    """`altered`: ids of events whose columns no longer hash to their leaf. `misdated`: whose two times are far apart."""

    events: int = 0
    altered: list[int] = field(default_factory=list)
    misdated: list[int] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not self.altered and not self.misdated

    def words(self) -> str:
        lines = [
            f"{self.events:,} events checked: "
            + ("all as they were written" if self.whole else "the trail was tampered with")
        ]
        for title, ids in (("altered", self.altered), ("written at another time than they say", self.misdated)):
            if ids:
                more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
                lines.append(f"  {title}: {', '.join(map(str, ids[:SHOWN]))}{more}")
        return "\n".join(lines)


async def verify(work: UnitOfWork) -> TrailReport:
    """Walks the whole trail, in batches."""
    report = TrailReport()
    async for rows in ledger.walk(work):
        report.events += len(rows)
        for row in rows:
            assert row.id is not None
            if recomputed_leaf(row) != row.leaf:
                report.altered.append(row.id)
            elif abs(row.at - row.written_at) > MOST_APART:
                report.misdated.append(row.id)
    return report
