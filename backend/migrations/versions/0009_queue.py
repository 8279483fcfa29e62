"""The queue: when an alert is due, what it is found by, an index for each order, and views that people keep."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_OPEN = sa.text("status <> 'closed'")
_SEARCHED = ("transaction_id", "customer_id", "card_id", "merchant_id", "device_id", "ip")
_SCORE = sa.text("COALESCE(score, '-1'::integer) DESC")
_ORDERS: tuple[tuple[str, list[str | sa.TextClause], sa.TextClause | None], ...] = (
    ("alert_queue_by_time", [sa.text("opened_at DESC"), sa.text("id DESC")], _OPEN),
    ("alert_queue_by_due", ["due_at", "id"], _OPEN),
    ("alert_queue_by_amount", [sa.text("amount_minor DESC"), "id"], _OPEN),
    ("alert_queue_by_score", [_SCORE, "id"], _OPEN),
    ("alert_queue_by_reason", ["reason_code", "id"], _OPEN),
    ("alert_by_loss", [sa.text("expected_loss_minor DESC"), "id"], None),
    ("alert_by_due", ["due_at", "id"], None),
    ("alert_by_amount", [sa.text("amount_minor DESC"), "id"], None),
    ("alert_by_score", [_SCORE, "id"], None),
    ("alert_claimed", ["claimed_by", "id"], sa.text("status = 'claimed'")),
)


def upgrade() -> None:
    _add_columns()
    for statement in _BACKFILL:
        op.execute(statement)
    op.alter_column("alert", "due_at", nullable=False)
    for name, columns, where in _ORDERS:
        op.create_index(name, "alert", columns, postgresql_where=where)
    for name in _SEARCHED:
        op.create_index(f"alert_search_{name}", "alert", [name, "id"], postgresql_ops={name: "text_pattern_ops"})
    _create_saved_view()


def _add_columns() -> None:
    """What an older process inserts meanwhile is due in two hours, and is not found by what it does not repeat."""
    op.add_column("alert", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("alert", "due_at", server_default=sa.text("now() + interval '2 hours'"))
    for name in ("transaction_id", "reason_code"):
        op.add_column("alert", sa.Column(name, sa.String(), server_default="", nullable=False))
    for name in ("card_id", "device_id", "ip"):
        op.add_column("alert", sa.Column(name, sa.String(), nullable=True))


_BACKFILL = (
    """UPDATE alert SET
           due_at = alert.opened_at + CASE alert.outcome WHEN 'review' THEN interval '2 hours'
               WHEN 'decline' THEN interval '8 hours' ELSE interval '3 days' END,
           transaction_id = t.transaction_id, card_id = t.card_id, device_id = t.device_id, ip = t.ip
       FROM transaction AS t WHERE t.uid = alert.transaction_uid""",
    """UPDATE alert SET reason_code = CASE
           WHEN control_probability IS NOT NULL THEN 'control'
           WHEN top_reason = 'Decided without this customer''s history: the feature store was not available' THEN 'no_features'
           WHEN top_reason = 'Decided by rules only: no model is in use yet' THEN 'no_model'
           WHEN top_reason = 'Many small signs together' THEN 'many_small'
           ELSE COALESCE(
               (SELECT said ->> 'code' FROM decision AS d
                CROSS JOIN LATERAL jsonb_array_elements(d.rule_hits || d.reasons) AS said
                WHERE d.transaction_uid = alert.transaction_uid AND said ->> 'text' = alert.top_reason
                ORDER BY d.version DESC LIMIT 1), '') END""",
)


def _create_saved_view() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("owner_id", "name"),
    )
    op.create_index("saved_view_shared", "saved_view", ["name", "id"], postgresql_where=sa.text("shared"))
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON saved_view TO ronda_app")
