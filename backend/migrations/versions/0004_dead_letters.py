"""Dead letters have a state; payments that are hard to score are counted."""

import sqlalchemy as sa
from alembic import op

from backend.migrations import rights

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    for column in (
        sa.Column("payments", sa.Integer(), server_default="0", nullable=False),
        sa.Column("transaction_uid", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("settled_at", moment, nullable=True),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
    ):
        op.add_column("dead_letter", column)
    for name in ("payments", "state"):
        op.alter_column("dead_letter", name, server_default=None)
    op.execute(
        "DELETE FROM dead_letter a USING dead_letter b WHERE a.id > b.id AND a.queue = b.queue "
        "AND a.message_id = b.message_id AND a.body = b.body"
    )
    op.create_index("dead_letter_once", "dead_letter", ["queue", "message_id", sa.text("sha256(body)")], unique=True)
    op.create_index("dead_letter_newest", "dead_letter", [sa.text("died_at DESC"), sa.text("id DESC")])
    op.create_index(
        "dead_letter_waiting", "dead_letter", ["reason", "died_at"], postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index(
        "dead_letter_by_payment",
        "dead_letter",
        ["transaction_uid"],
        postgresql_where=sa.text("transaction_uid IS NOT NULL"),
    )
    op.create_table(
        "scoring_trouble",
        sa.Column("transaction_uid", sa.Uuid(), primary_key=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=False),
        sa.Column("resends", sa.Integer(), nullable=False),
        sa.Column("resent_at", moment, nullable=True),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON scoring_trouble TO {rights.APP_ROLE}")
