"""Transactions and decisions by month, and the sources' keys in a table of their own: no unique key spans partitions by time."""

import sqlalchemy as sa
from alembic import op

from backend.migrations import rights
from backend.migrations.partitions import FUNCTIONS, partition_by_month

revision = "0006"
down_revision = "0005"

KEY_PARTITIONS = 8


def upgrade() -> None:
    for statement in FUNCTIONS:
        op.execute(statement)
    op.create_table(
        "transaction_key",
        sa.Column("transaction_id", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("body_sha", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "source_id"),
        postgresql_partition_by="HASH (transaction_id, source_id)",
    )
    for rest in range(KEY_PARTITIONS):
        op.execute(
            f"CREATE TABLE transaction_key_{rest} PARTITION OF transaction_key "
            f"FOR VALUES WITH (MODULUS {KEY_PARTITIONS}, REMAINDER {rest})"
        )
        op.execute(rights.refusing(f"transaction_key_{rest}"))
    op.execute("INSERT INTO transaction_key SELECT transaction_id, source_id, uid, body_sha FROM transaction")
    partition_by_month("transaction", "uid", primary_key="uid")
    op.drop_column("transaction", "body_sha")
    partition_by_month("decision", "transaction_uid", primary_key="transaction_uid, version")
    for table in ("transaction", "decision", "transaction_key"):
        for statement in rights.append_only(table):
            op.execute(statement)
