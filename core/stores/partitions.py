"""SQL of the tables that are kept by month."""

from datetime import datetime

from sqlalchemy import text

from core.infra.postgres import UnitOfWork


async def make_ahead(work: UnitOfWork, now: datetime, *, months: int) -> int | None:
    """Partitions for this month and the next ones, where they are missing; how many were made. None = the tables are busy just now."""
    query = text("SELECT make_month_partitions(:now, :months)")
    made = int((await work.run(query, {"now": now, "months": months})).scalar_one())
    return None if made < 0 else made
