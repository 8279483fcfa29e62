"""What the monitoring finds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from backend.migrations import rights

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "model_watch",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("model_id", sa.String(), sa.ForeignKey("model.id"), nullable=False),
        sa.Column("measured_at", moment, nullable=False),
        sa.Column("window_from", moment, nullable=True),
        sa.Column("window_until", moment, nullable=True),
        sa.Column("figures", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("proposal", postgresql.JSONB(), nullable=True),
    )
    op.create_index("model_watch_newest", "model_watch", ["model_id", sa.text("measured_at DESC")])
    for statement in rights.append_only("model_watch"):
        op.execute(statement)
