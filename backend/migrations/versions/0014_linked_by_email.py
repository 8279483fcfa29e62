"""Finds the payments that name one e-mail address."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    op.create_index(
        "transaction_by_email",
        "transaction",
        ["email_hash", sa.text("occurred_at DESC")],
        postgresql_where=sa.text("email_hash IS NOT NULL"),
    )
