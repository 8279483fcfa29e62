"""Stages of a model's life, shadow scores, the control sample, leases of trainings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from backend.migrations import rights

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _add_columns()
    op.create_table(
        "shadow_score",
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("transaction_uid", sa.Uuid(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"]),
        sa.ForeignKeyConstraint(["transaction_uid"], ["transaction.uid"]),
        sa.PrimaryKeyConstraint("model_id", "transaction_uid"),
    )
    for statement in (*rights.append_only("shadow_score"), *_STAGES):
        op.execute(statement)


def _add_columns() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("decision", sa.Column("anomaly", sa.REAL(), nullable=True))
    op.add_column("alert", sa.Column("control_probability", sa.Float(), nullable=True))
    op.add_column("alert", sa.Column("reason_vector", postgresql.ARRAY(sa.REAL()), nullable=True))
    op.add_column("alert", sa.Column("catalogue_version", sa.SmallInteger(), nullable=True))
    op.add_column("model", sa.Column("replaced", sa.String(), sa.ForeignKey("model.id"), nullable=True))
    op.add_column("model", sa.Column("shadow_since", moment, nullable=True))
    refusals = sa.Column("refusals", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False)
    op.add_column("model", refusals)
    op.add_column("model", sa.Column("signed_by", sa.String(), nullable=True))
    op.add_column("training_run", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("training_run", sa.Column("lease_until", moment, nullable=True))
    op.add_column("training_run", sa.Column("cancel_asked_at", moment, nullable=True))
    op.add_column("training_run", sa.Column("cancel_asked_by", sa.String(), nullable=True))


_STAGES = (
    """UPDATE model SET stage = 'refused',
           refusals = jsonb_path_query_array(metrics, '$.gates[*] ? (@.passed == false).detail')
       WHERE stage = 'challenger' AND jsonb_path_exists(metrics, '$.gates[*] ? (@.passed == false)')""",
    "UPDATE model SET stage = 'candidate' WHERE stage = 'challenger'",
    # What a rollback returns to: the retired model that was promoted last before the champion.
    """UPDATE model AS champion SET replaced = (
           SELECT id FROM model WHERE stage = 'retired' AND promoted_at < champion.promoted_at
           ORDER BY promoted_at DESC LIMIT 1)
       WHERE stage = 'champion'""",
)
