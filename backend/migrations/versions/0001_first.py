"""The first schema: tables, rights, and the policy in force on the first day."""

from datetime import UTC, datetime

from alembic import op
from sqlalchemy import insert
from sqlmodel import SQLModel

from backend.migrations import rights
from core.rules.defaults import FIRST_RULES
from core.tables.policy import Policy

revision = "0001"
down_revision = None


def upgrade() -> None:
    SQLModel.metadata.create_all(op.get_bind())
    first = {
        "version": 1,
        "rules": list(FIRST_RULES),
        "published_at": datetime.now(UTC),
        "published_by": "system:migrate",
    }
    op.get_bind().execute(insert(Policy), [first])
    for statement in rights.STATEMENTS:
        op.execute(statement)
