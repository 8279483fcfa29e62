"""Figures by day, indices for what the console filters by, and looks at models that may be forgotten."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from backend.migrations import rights

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "day_figures",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("figures", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON day_figures TO {rights.APP_ROLE}")
    op.create_index("alert_by_closing", "alert", ["closed_at"], postgresql_where=sa.text("closed_at IS NOT NULL"))
    op.create_index("label_by_source", "label", ["label_source", sa.text("received_at DESC"), sa.text("id DESC")])
    op.create_index("audit_refused", "audit_event", ["id"], postgresql_where=sa.text("result = 'refused'"))
    op.execute("DROP TRIGGER append_only ON model_watch")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON model_watch "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(f"GRANT DELETE ON model_watch TO {rights.APP_ROLE}")
