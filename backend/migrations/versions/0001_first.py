"""The first schema: tables, rights, and the policy in force on the first day."""

from alembic import op
from sqlmodel import SQLModel

from backend.migrations import rights

revision = "0001"
down_revision = None


def upgrade() -> None:
    SQLModel.metadata.create_all(op.get_bind())
    for statement in rights.STATEMENTS:
        op.execute(statement)
