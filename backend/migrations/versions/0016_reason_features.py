"""What an alert's first reason is told from, so that the queue tells it whole in every language."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"

_BACKFILL = """
UPDATE alert SET reason_features =
    (SELECT said -> 'features' FROM decision AS d CROSS JOIN LATERAL jsonb_array_elements(d.reasons) AS said
     WHERE d.transaction_uid = alert.transaction_uid AND said ->> 'text' = alert.top_reason
     ORDER BY d.version DESC LIMIT 1)
WHERE status <> 'closed' AND reason_vector IS NOT NULL
"""
"""Of alerts that are still worked on; a closed one is told by what its reason is about."""


def upgrade() -> None:
    op.add_column("alert", sa.Column("reason_features", postgresql.JSONB(), nullable=True))
    op.execute(_BACKFILL)
