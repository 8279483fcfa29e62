"""Finds decisions that were made without features or model."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index(
        "decision_to_repeat",
        "decision",
        ["decided_at"],
        postgresql_where=sa.text("version = 1 AND (features_status = 'degraded' OR score IS NULL)"),
    )
