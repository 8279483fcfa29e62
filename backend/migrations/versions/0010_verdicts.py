"""Decisions with a reason that can be undone, and the order in which alerts are taken."""

import sqlalchemy as sa
from alembic import op

from backend.migrations.rights import APP_ROLE

revision = "0010"
down_revision = "0009"

_TURN = """
CREATE FUNCTION alert_turn(opened_at timestamptz, expected_loss_minor bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_part('epoch', opened_at) - 3600 * ln(1 + greatest(expected_loss_minor, 0) / 100.0::float8) / ln(2.0::float8)
$$
"""
"""Seconds since 1970: when the alert was opened, an hour earlier for each doubling of what is at stake. Nothing in it moves with the
clock, so an index holds the order; and whatever is opened later has in the end to wait. IMMUTABLE holds: an epoch knows no time zone.
"""

_ONLY_WITHDRAWN = """
CREATE FUNCTION only_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL
       AND to_jsonb(NEW) - 'withdrawn_at' = to_jsonb(OLD) - 'withdrawn_at' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'label is append-only: it can be withdrawn once and is otherwise never changed'
        USING ERRCODE = 'insufficient_privilege';
END $$
"""


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("alert", sa.Column("disposition_reason", sa.String(), nullable=True))
    op.add_column("label", sa.Column("withdrawn_at", moment, nullable=True))
    op.execute('DROP TRIGGER append_only ON "label"')
    op.execute(
        'CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON "label" FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()'
    )
    op.execute(_ONLY_WITHDRAWN)
    op.execute('CREATE TRIGGER only_withdrawn BEFORE UPDATE ON "label" FOR EACH ROW EXECUTE FUNCTION only_withdrawn()')
    op.execute(f'GRANT UPDATE (withdrawn_at) ON "label" TO {APP_ROLE}')
    op.create_table(
        "verdict",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("alert_id", sa.Uuid(), sa.ForeignKey("alert.id"), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("label_id", sa.Uuid(), sa.ForeignKey("label.id"), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("list_entry_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), sa.ForeignKey("app_user.id"), nullable=False),
        sa.Column("decided_at", moment, nullable=False),
        sa.Column("undo_until", moment, nullable=False),
        sa.Column("undone_at", moment, nullable=True),
    )
    op.create_index("verdict_by_alert", "verdict", ["alert_id", sa.text("decided_at DESC")])
    op.create_index("verdict_by_analyst", "verdict", ["decided_by", sa.text("decided_at DESC")])
    op.create_index("verdict_by_batch", "verdict", ["batch_id"], postgresql_where=sa.text("batch_id IS NOT NULL"))
    op.execute(f"GRANT SELECT, INSERT ON verdict TO {APP_ROLE}")
    op.execute(f"GRANT UPDATE (undone_at) ON verdict TO {APP_ROLE}")
    op.execute(_TURN)
    op.execute(
        "CREATE INDEX alert_turn ON alert (alert_turn(opened_at, expected_loss_minor), id) WHERE status = 'open'"
    )
