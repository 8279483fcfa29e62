"""Seals over the audit trail, and their signed checkpoints."""

import sqlalchemy as sa
from alembic import op

from backend.migrations import rights
from core.tables.columns import XID8

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "audit_seal",
        sa.Column("n", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("xid_lo", XID8(), nullable=False),
        sa.Column("xid_hi", XID8(), nullable=False, unique=True),
        sa.Column("count", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("root", "prev", "hash", "subtree")),
        sa.Column("at", moment, nullable=False),
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
    )
    op.drop_column("audit_event", "seal")  # which seal closes over an event follows from its transaction id
    for statement in rights.SEALER:
        op.execute(statement)
