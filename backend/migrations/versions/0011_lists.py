"""Lists of entities: allow, deny, watch, snooze."""

import sqlalchemy as sa
from alembic import op

from backend.migrations.rights import APP_ROLE

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "list_entry",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("alert_id", sa.Uuid(), sa.ForeignKey("alert.id"), nullable=True),
        sa.Column("change", sa.BigInteger(), nullable=False),
    )
    not_ended = sa.text("ended_at IS NULL")
    op.create_index(
        "list_entry_once", "list_entry", ["list", "kind", "entity_id"], unique=True, postgresql_where=not_ended
    )
    op.create_index("list_entry_by_entity", "list_entry", ["kind", "entity_id", sa.text("created_at DESC")])
    op.create_index("list_entry_by_time", "list_entry", ["list", sa.text("created_at DESC"), sa.text("id DESC")])
    op.create_index("list_entry_by_change", "list_entry", ["change"], unique=True)
    op.execute(f"GRANT SELECT, INSERT ON list_entry TO {APP_ROLE}")
    op.execute(f"GRANT UPDATE (expires_at, ended_at, ended_by, change) ON list_entry TO {APP_ROLE}")
